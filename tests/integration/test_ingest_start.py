"""How ingest and the retriever start and end: what is wrong is one line, and what is in progress is answered."""

import asyncio
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from exchanges import entries_of, line
from installation import Installation, installed
from ports import free_ports
from waiting import PATIENCE, until

CONFIGURATION = 78
NEEDED = {"MEMSTREAM_RETRIEVER_EMBEDDINGS_API_KEY": "x"}


async def start(module: str, settings: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run a service that can't start, and give its exit code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"memstream.{module}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=settings,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, out.decode().splitlines()


BAD = {
    "ingest": {
        "REDIS_URL": "http://127.0.0.1",
        "PORT": "70000",
        "PARTITIONS": "0",
        "DURABILITY": "maybe",
        "BACKLOG_LIMIT": "-1",
        "MEMORY_LIMIT": "85",
        "APPEND_TIMEOUT": "0",
        "DEDUP_WINDOW": "-5",
        "READING_LIFETIME": "soon",
        "LOG_LEVEL": "loud",
        "JWT_ALGORITHMS": "HS256",
        "JWT_LEEWAY": "-1",
        "JWT_JWKS_URL": "id.example",
        "JWT_TENANT_CLAIM": "",
    },
    "retriever": {
        "REDIS_URL": "not a url",
        "PORT": "http",
        "QDRANT_URL": "localhost",
        "QDRANT_TIMEOUT": "0",
        "EMBEDDINGS_API_KEY": "",
        "EMBEDDINGS_TIMEOUT": "-1",
        "EMBEDDINGS_DIMENSIONS": "many",
        "CANDIDATES": "0",
        "RERANK_URL": "http://127.0.0.1:8000/v1/rerank",
        "RERANK_TIMEOUT": "0",
        "RERANK_HITS": "1",
        "RERANK_CALLS": "0",
        "JWT_ALGORITHMS": "HS256",
        "JWT_LEEWAY": "-1",
        "JWT_JWKS_URL": "id.example",
    },
}


@pytest.mark.parametrize("module", list(BAD))
async def test_bad_settings_are_one_line_that_names_each(module: str) -> None:
    prefix = f"MEMSTREAM_{module.upper()}_"

    code, lines = await start(module, {f"{prefix}{name}": value for name, value in BAD[module].items()})

    assert code == CONFIGURATION
    assert len(lines) == 1
    assert lines[0].startswith("set ")
    named = {fault.partition(":")[0] for fault in lines[0].removeprefix("set ").split("; ")}
    assert named == {f"{prefix}{name}" for name in BAD[module]}


ISSUER = {"JWT_ISSUER": "https://id.example", "JWT_AUDIENCE": "memstream"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"JWT_ISSUER": "https://id.example"}, "JWT_AUDIENCE"),
        ({"JWT_JWKS_URL": "https://id.example/keys"}, "JWT_ISSUER"),
        ({**ISSUER, "JWT_JWKS_URL": "http://id.example/keys"}, "use https"),
        ({**ISSUER, "JWT_JWKS_URL": "https://id.example/keys", "JWT_JWKS_FILE": "keys.json"}, "not both"),
        ({**ISSUER, "JWT_JWKS_FILE": "/nowhere/keys.json"}, "/nowhere/keys.json: No such file or directory"),
        ({**ISSUER, "JWT_JWKS_FILE": "/dev/null"}, "/dev/null"),
    ],
)
@pytest.mark.parametrize("module", list(BAD))
async def test_an_issuer_that_is_set_by_halves_is_one_line(
    module: str, settings: Mapping[str, str], named: str
) -> None:
    prefix = f"MEMSTREAM_{module.upper()}_"

    code, lines = await start(module, NEEDED | {f"{prefix}{name}": value for name, value in settings.items()})

    assert (code, len(lines)) == (CONFIGURATION, 1)
    assert lines[0].startswith("set ")
    assert f"{prefix}JWT_" in lines[0]
    assert named in lines[0]


@pytest.mark.parametrize(("content", "says"), [(None, "No such file or directory"), ("{", "the file: Invalid JSON")])
async def test_calibrations_that_are_none_are_one_line(tmp_path: Path, content: str | None, says: str) -> None:
    file = tmp_path / "calibrations.json"
    if content is not None:
        file.write_text(content)

    code, lines = await start("retriever", {**NEEDED, "MEMSTREAM_RETRIEVER_CALIBRATIONS": str(file)})

    assert (code, len(lines)) == (CONFIGURATION, 1)
    assert lines[0].startswith(
        "set MEMSTREAM_RETRIEVER_CALIBRATIONS to a file that `memstream calibrate` wrote, or leave it unset: "
        f"the calibrations {file}: {says}"
    )


async def test_a_missing_setting_is_one_line_with_its_variable() -> None:
    code, lines = await start("retriever", {})

    assert code == CONFIGURATION
    assert lines == ["set MEMSTREAM_RETRIEVER_EMBEDDINGS_API_KEY: Field required"]


@pytest.mark.parametrize("module", ["ingest", "retriever"])
async def test_a_port_in_use_is_one_line(module: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_ports(1)))
        other.listen()
        port = other.getsockname()[1]

        code, lines = await start(module, {**NEEDED, f"MEMSTREAM_{module.upper()}_PORT": str(port)})

    assert code == CONFIGURATION
    assert len(lines) == 1
    assert f"127.0.0.1:{port}" in lines[0]


async def test_sigterm_answers_what_is_under_way_and_ends_well(tmp_path: Path, user: str) -> None:
    async with installed(Installation(tmp_path)) as parts:
        await parts.start("redis")
        await parts.start("keys", "ingest-1")
        body = line(user, "slow")
        reader, writer = await asyncio.open_connection("127.0.0.1", parts.plan.port_base)
        writer.write(
            f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {parts.info.api_key}\r\n"
            f"expect: 100-continue\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        )
        # The server asks for the body: the request is in its hands.
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")

        parts.signal("ingest-1", signal.SIGTERM)
        await refuses_newcomers(parts)
        writer.write(body)
        answer = await reader.read()
        writer.close()

        assert answer.startswith(b"HTTP/1.1 202")
        assert await parts.ended("ingest-1") == 0
        assert [e["message_id"] for e in await entries_of(parts.redis, user)] == ["slow"]
        assert "Traceback" not in parts.log("ingest-1")


async def refuses_newcomers(parts: Installation) -> None:
    """Come back when ingest takes no connection any more."""

    async def refuses() -> bool:
        return not await takes_connections(parts)

    await until(refuses, "ingest takes no connection any more")


async def test_sigterm_before_anything_is_reached_ends_well(tmp_path: Path) -> None:
    async with installed(Installation(tmp_path)) as parts:
        # No Redis, so it is not ready; it serves all the same.
        await parts.start("ingest-1", ready=False)
        await listens(parts)

        assert await parts.stop("ingest-1") == 0


async def listens(parts: Installation) -> None:
    """Come back when ingest takes connections."""
    await until(lambda: takes_connections(parts), "ingest takes connections")


async def takes_connections(parts: Installation) -> bool:
    """Say whether ingest takes connections."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", parts.plan.port_base)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True
