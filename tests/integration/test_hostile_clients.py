"""Clients that send slowly, without end, too much or nothing: they are cut off, and others are answered."""

import asyncio
import contextlib
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import Request
from fastapi.responses import Response
from integration.test_http_edge import no_lifespan
from ports import free_ports
from waiting import PATIENCE, until

from memstream.runtime.sockets import listen
from memstream.web.application import make_application
from memstream.web.bodies import read_body
from memstream.web.body_budget import BodyBudget, hold_of
from memstream.web.protocol import ConnectionGuard
from memstream.web.server import configure
from memstream.web.settings import HttpLimits

KIB, MIB = 1024, 1024 * 1024
SHORT = timedelta(seconds=0.2)
LONG = timedelta(seconds=PATIENCE)
PATIENT = HttpLimits(
    head_timeout=LONG, idle_timeout=LONG, body_idle_timeout=LONG, body_timeout=LONG, response_timeout=LONG
)
HEAD = b"POST /echo HTTP/1.1\r\nhost: x\r\n"


class Server:
    """A server that answers with the size of what it got."""

    def __init__(self, limits: HttpLimits, **options: float) -> None:
        self.guard = ConnectionGuard(limits, **options)
        self._budget = BodyBudget(limits.bodies_bytes, limits.bodies_wait.total_seconds())
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        """Serve until the end of the block."""
        app = make_application("t", "t", no_lifespan, bodies=self._budget)

        @app.post("/echo")
        async def echo(request: Request) -> Response:
            hold = hold_of(request)
            assert hold is not None
            hold.tenant = request.headers.get("tenant", "")
            return Response(json.dumps({"size": len(await read_body(request, MIB))}))

        @app.get("/large")
        async def large() -> Response:
            return Response(b"x" * 64 * MIB)

        self.port = free_ports()
        with listen("127.0.0.1", self.port) as listener:
            server = uvicorn.Server(configure(app, self.guard, grace=0))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            await until(lambda: server.started, "the server is started")
            try:
                yield self
            finally:
                server.should_exit = True
                await serving

    async def open(self, *pieces: bytes, reads: int = 128 * MIB) -> "Client":
        """Connect, and send these bytes. About so many are read before anybody asks for them."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=reads))
        await client.send(*pieces)
        return client

    def client(self) -> httpx.AsyncClient:
        """Make a client that behaves."""
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE)


class Client:
    """A connection that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send bytes as they are."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of what comes until the end of the connection; 0 if nothing does."""
        async with asyncio.timeout(PATIENCE):
            told = b""
            with contextlib.suppress(ConnectionError):
                told = await self._reader.read()
        self._writer.close()
        head, _, body = told.partition(b"\r\n\r\n")
        return (int(head.split()[1]), json.loads(body)) if told else (0, {})

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@contextlib.asynccontextmanager
async def serving(limits: HttpLimits, **options: float) -> AsyncIterator[Server]:
    """Run a server with these limits."""
    async with Server(limits, **options).running() as server:
        yield server


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([], 0),
        ([b"\r\n\r\n"], 0),
        ([b"POST"], 408),
        ([HEAD], 408),
        ([HEAD + b"content-length: 9\r\n\r\n"], 408),
        ([HEAD + b"content-length: 9\r\n\r\nabc"], 408),
        ([HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nabc"], 408),
    ],
    ids=repr,
)
async def test_a_client_that_stops_half_way_is_cut_off(pieces: Sequence[bytes], status: int) -> None:
    limits = replace(PATIENT, head_timeout=SHORT, body_idle_timeout=SHORT)
    async with serving(limits) as server:
        found, body = await (await server.open(*pieces)).answer()

        assert found == status
        assert body.get("type") in {None, "urn:memstream:problem:request-timeout"}
        assert len(server.guard.table) == 0


async def test_a_connection_is_kept_between_requests_longer_than_a_head_may_take() -> None:
    asked = HEAD + b"content-length: 3\r\n\r\nabc"
    async with serving(replace(PATIENT, head_timeout=SHORT)) as server:
        client = await server.open(asked)
        assert (await answer_head(client))[0] == 200
        # Begun later, and over the time of a head.
        assert (await (await server.open(HEAD)).answer())[0] == 408

        await client.send(asked.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))

        assert await client.answer() == (200, {"size": 3})


async def test_a_connection_that_asks_nothing_more_is_closed() -> None:
    async with serving(replace(PATIENT, idle_timeout=SHORT)) as server:
        client = await server.open(HEAD + b"content-length: 3\r\n\r\nabc")
        assert (await answer_head(client))[0] == 200

        assert await client.answer() == (0, {})


def test_connections_are_kept_longer_than_clients_and_proxies_keep_theirs() -> None:
    config = configure(make_application("t", "t", no_lifespan), ConnectionGuard(HttpLimits()), grace=0)

    assert config.timeout_keep_alive > HttpLimits().idle_timeout.total_seconds() > 60


@pytest.mark.parametrize("head", [b"x-slow: ", HEAD + b"content-length: 100000\r\n\r\n"], ids=["head", "body"])
async def test_a_client_that_trickles_is_cut_off(head: bytes) -> None:
    limits = replace(PATIENT, head_timeout=SHORT, body_timeout=SHORT)
    async with serving(limits) as server:
        client = await server.open(HEAD if head.startswith(b"x") else b"", head)

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await client.send(b"x")
                    await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        status, _ = await client.answer()
        trickling.cancel()

    assert status == 408


async def test_a_client_that_does_not_read_its_answer_is_cut_off() -> None:
    async with serving(replace(PATIENT, response_timeout=SHORT)) as server:
        client = await server.open(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n", reads=KIB)

        await until(lambda: len(server.guard.table) == 0, "the connection is cut off")
        client.close()


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD + b"x: " + b"y" * 40 * KIB],
        [HEAD + b"x: " + b"y" * 40 * KIB + b"\r\n\r\n"],
        [HEAD] + [b"x%d: y\r\n" % number for number in range(5_000)],
        [b"POST /" + b"y" * 40 * KIB],
        [b"POST /" + b"y" * 40 * KIB + b" HTTP/1.1\r\nhost: x\r\n\r\n"],
        [HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 10_000],
    ],
    ids=["header", "whole-header", "headers", "path", "whole-path", "trailers"],
)
async def test_a_head_that_is_too_large_is_refused(pieces: Sequence[bytes]) -> None:
    async with serving(PATIENT) as server:
        status, body = await (await server.open(*pieces)).answer()

        assert status in {0, 431}
        assert not body or body["type"] == "urn:memstream:problem:too-large"
        assert len(server.guard.table) == 0


async def test_a_head_within_the_limit_is_taken_in_however_many_pieces_it_comes() -> None:
    async with serving(PATIENT) as server:
        client = await server.open(HEAD + b"x: ")
        for _ in range(24):
            await client.send(b"y" * KIB)
            # The server reads it.
            await asyncio.sleep(0)
        await client.send(b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

        assert (await client.answer())[0] == 200


async def test_very_many_requests_without_waiting_for_an_answer_are_refused() -> None:
    async with serving(PATIENT) as server:
        client = await server.open(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n" * 1_000)

        await until(lambda: len(server.guard.table) == 0, "the connection is cut off")
        client.close()


async def test_a_new_client_is_answered_however_many_slow_ones_there_are() -> None:
    async with serving(replace(PATIENT, connections=20, connections_per_address=20)) as server:
        slow = [await server.open(HEAD) for _ in range(50)]
        async with server.client() as client:
            assert (await client.post("/echo", content=b"abc")).json() == {"size": 3}

        assert len(server.guard.table) <= 20
        statuses = [(await one.answer())[0] for one in slow[:30]]
        assert set(statuses) == {503}
        for one in slow[30:]:
            one.close()


async def test_connections_of_one_address_are_limited() -> None:
    async with serving(replace(PATIENT, connections_per_address=5)) as server:
        clients = [await server.open(HEAD + b"content-length: 9\r\n\r\nabc") for _ in range(30)]
        async with server.client() as client:
            assert (await client.post("/echo", content=b"abc")).json() == {"size": 3}

        assert len(server.guard.table) <= 5
        for one in clients:
            one.close()


async def test_stalled_bodies_of_one_tenant_do_not_stop_another() -> None:
    limits = replace(PATIENT, bodies_bytes=2 * MIB, bodies_wait=SHORT)
    async with serving(limits) as server:
        head = HEAD + b"tenant: hostile\r\ncontent-length: 900000\r\n\r\n"
        stalled = [await server.open(head, b"x" * 600_000) for _ in range(8)]
        refused = 0
        for one in stalled[2:]:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    status, body = await answer_head(one)
                    refused += status == 429
                    assert "bodies_bytes" in body
        async with server.client() as client:

            async def pieces() -> AsyncIterator[bytes]:
                for _ in range(10):
                    yield b"y" * 60_000

            good = await client.post("/echo", content=pieces(), headers={"tenant": "good"})

        assert good.json() == {"size": 600_000}
        assert refused >= 6
        for one in stalled:
            one.close()


async def test_what_is_left_of_refused_bodies_is_read_at_a_low_pace() -> None:
    async with serving(PATIENT, leftover_pause=PATIENCE) as server:
        refused = [await server.open(HEAD + b"content-length: 1000000000\r\n\r\n") for _ in range(3)]
        sent = 0

        async def send_on(client: Client) -> None:
            nonlocal sent
            while True:
                await client.send(b"x" * MIB)
                sent += 1

        for one in refused:
            assert (await answer_head(one))[0] == 413
        for one in refused:
            # What is not read is held by the network, some megabytes; it is cut off in the end.
            with contextlib.suppress(ConnectionError):
                await send_on(one)
            assert await one.answer() == (0, {})

        assert sent < 100


async def test_clients_that_hang_up_behind_a_refusal_stop_nobody() -> None:
    async with serving(PATIENT) as server:
        head = HEAD + b"content-length: %d\r\n\r\n" % (8 * MIB)
        for _ in range(20):
            refused = await server.open(head, b"x" * MIB)
            refused.close()
        stays = await server.open(head, b"x" * 8 * MIB, HEAD + b"content-length: 3\r\nconnection: close\r\n\r\nabc")
        assert (await answer_head(stays))[0] == 413

        assert await stays.answer() == (200, {"size": 3})


async def test_a_refused_body_that_never_ends_is_answered_once() -> None:
    async with serving(PATIENT) as server:
        client = await server.open(HEAD + b"content-length: 10000000\r\n\r\nabc")

        status, body = await client.answer()

    assert (status, body["type"]) == (413, "urn:memstream:problem:too-large")


async def test_a_connection_is_used_again_behind_a_refused_body() -> None:
    async with serving(PATIENT) as server:
        refused = HEAD + b"content-length: %d\r\n\r\n" % (8 * MIB)
        client = await server.open(refused, b"x" * 8 * MIB)
        assert (await answer_head(client))[0] == 413

        await client.send(HEAD + b"content-length: 3\r\nconnection: close\r\n\r\nabc")

        assert await client.answer() == (200, {"size": 3})


async def answer_head(client: Client) -> tuple[int, str]:
    """Read the first answer of a connection that stays open."""
    told = await client._reader.readuntil(b"}")
    return int(told.split()[1]), told.decode()


async def test_a_gzip_body_is_read() -> None:
    async with serving(PATIENT) as server, server.client() as client:
        body = gzip.compress(b"hello " * 1_000)
        answer = await client.post("/echo", content=body, headers={"content-encoding": "gzip"})

    assert answer.json() == {"size": 6_000}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(b"\0" * 200 * MIB, 1), 413),
        (gzip.compress(b"hello")[:-3], 400),
        (gzip.compress(b"hello") + b"more", 400),
        (gzip.compress(b"hello") + gzip.compress(b"hello"), 400),
        (zlib.compress(b"hello"), 400),
        (b"hello", 400),
        (b"", 400),
    ],
    ids=["bomb", "cut", "more", "members", "zlib", "plain", "empty"],
)
async def test_a_wrong_or_too_large_gzip_body_is_refused(body: bytes, status: int) -> None:
    async with serving(PATIENT) as server, server.client() as client:
        answer = await client.post("/echo", content=body, headers={"content-encoding": "gzip"})

    assert answer.status_code == status
    assert answer.json()["detail"]


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_another_encoding_is_refused_with_what_is_accepted(encoding: str) -> None:
    async with serving(PATIENT) as server, server.client() as client:
        answer = await client.post("/echo", content=b"abc", headers={"content-encoding": encoding})

    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip")


@pytest.mark.parametrize("path", ["/echo", "/nowhere", "/large"])
async def test_every_answer_has_security_headers(path: str) -> None:
    async with serving(PATIENT) as server, server.client() as client:
        answer = await client.head(path)
        refused = await (await server.open(b"nonsense\r\n\r\n")).answer()

    assert refused[0] == 400
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "server" not in answer.headers
