"""The worst bodies that ingest takes or refuses, and 10,000 hostile connections.

    python -m benchmarks.worst_inputs.bodies [--connections 10000] [--service ingest] [--first-port 25000]

For each body: the CPU time until its outcome, and the longest that the event loop was kept from everything else, in CPU
time, so that others' use of the machine doesn't count. With `--connections`, a service is started and held by so many
clients that send slowly, or bombs, from 50 addresses: the memory of its process, and the answers to a good client.
"""

import argparse
import asyncio
import contextlib
import gc
import gzip
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from random import Random
from typing import NamedTuple

import httpx
import psutil
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from benchmarks.site import opened
from memstream.contracts.limits import DEFAULT_LIMITS
from memstream.ingest import answers
from memstream.ingest.appends import Appended, appends
from memstream.ingest.group_commit import Amount, GroupCommit
from memstream.ingest.intake import Intake
from memstream.ingest.metrics import IngestMetrics
from memstream.ingest.recorder import NewEntry, Recorder, size_of
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import MemstreamError
from memstream.runtime.turns import Turns
from memstream.web.credentials import Credential, store_key

JSON, NDJSON = "application/json", "application/x-ndjson"
ONE, BATCH = "/v1/messages", "/v1/messages/batch"
_MIB = 2**20
_KEY = "benchmark-key"
_ADDRESSES = 50
_AT_ONCE = 100
_SECONDS = 50.0


class Body(NamedTuple):
    """A request's body, and where it goes."""

    name: str
    path: str
    media: str
    content: bytes
    piece_bytes: int = 64 * 1024
    """In pieces of this size it arrives."""


def _message(extra: bytes = b"", text: bytes = b"hello") -> bytes:
    return b'{"user_id": "u", "text": "' + text + b'"' + extra + b"}"


def _array(items: Sequence[bytes]) -> bytes:
    return b'{"messages": [' + b",".join(items) + b"]}"


def bodies() -> Iterator[Body]:
    """Yield bodies within the limits on their bytes, each bad in its own way."""
    large = [_message(text=b'w\\n\\"q\\" ' * 900, extra=b', "message_id": "%d"' % n) for n in range(1000)]
    brackets = _message(b', "metadata": {"a": [' + b"[]," * 1_300 + b"[]]}")
    keys = b",".join(b'"a%d": 1' % n for n in range(90_000))
    deep = _message(b', "metadata": {"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}")
    yield Body("1,000 messages of 7 KiB as an array", BATCH, JSON, _array(large))
    yield Body("1,000 messages of 7 KiB as lines", BATCH, NDJSON, b"\n".join(large))
    yield Body("1,000 messages whose metadata are brackets", BATCH, JSON, _array([brackets] * 1000))
    yield Body("1,000 small messages as an array", BATCH, JSON, _array([_message()] * 1000))
    yield Body("20 messages nested 200,000 deep", BATCH, JSON, _array([deep] * 20))
    yield Body("an array of 2.7 million lists", BATCH, JSON, _array([b"[]"] * 2_700_000))
    yield Body("8 MiB of opening brackets", BATCH, JSON, b"[" * (8 * _MIB))
    yield Body("8 MiB of one string", BATCH, JSON, b'{"messages": ["' + b'\\"' * (4 * _MIB - 20))
    yield Body("8 MiB without a newline, in small pieces", BATCH, NDJSON, b"x" * (8 * _MIB), 64)
    yield Body("8 MiB of empty lines, in small pieces", BATCH, NDJSON, b"\n" * (8 * _MIB), 64)
    yield Body(
        "1,000 lines of 8 KiB of unknown fields", BATCH, NDJSON, b"\n".join([_message(b"," + keys[:8_000])] * 990)
    )
    yield Body("1 MiB of unknown fields", ONE, JSON, _message(b"," + keys))
    yield Body("1 MiB of metadata keys", ONE, JSON, _message(b', "metadata": {' + keys + b"}"))
    yield Body("1 MiB of lists in metadata", ONE, JSON, _message(b', "metadata": {"a": [' + b"[]," * 340_000 + b"[]]}"))
    yield Body("1 MiB of numbers in metadata", ONE, JSON, _message(b', "metadata": {"a": [' + b"1," * 510_000 + b"1]}"))
    yield Body("1 MiB of opening brackets", ONE, JSON, b"[" * _MIB)
    yield Body("64 KiB of text, every character escaped", ONE, JSON, _message(text=b"\\u0061" * 65_536))


async def _written(entries: Sequence[NewEntry]) -> list[Appended]:
    for append in appends(entries):
        append.call(entries, 60, 1)
    return [Appended(f"0.{entry.lane}.{place}-0", duplicate=False) for place, entry in enumerate(entries)]


def _intake() -> Intake:
    clock = SystemClock()
    return Intake(
        recorder=Recorder(1, clock.now, Random(1)),  # noqa: S311 - nothing secret is made from it
        commits=GroupCommit(_written, size_of, limit=Amount(1_000, 8 * _MIB), waiting_limit=Amount(20_000, 64 * _MIB)),
        limits=DEFAULT_LIMITS,
        now=clock.now,
        metrics=IngestMetrics(CollectorRegistry()),
        turns=Turns(clock),
    )


_CALLER = Credential("acme")


async def _pieces(body: Body) -> AsyncIterator[bytes]:
    for start in range(0, len(body.content), body.piece_bytes):
        yield body.content[start : start + body.piece_bytes]
        if not start % (64 * 1024):
            # As often as a read of a socket gives something else its turn.
            await asyncio.sleep(0)


async def _take(intake: Intake, body: Body) -> str:
    try:
        if body.path == ONE:
            answers.accepted(await intake.take(body.content, _CALLER))
            return "accepted"
        if body.media == JSON:
            outcomes = await intake.take_json(body.content, _CALLER, None)
        else:
            outcomes = await intake.take_lines(_pieces(body), _CALLER, "live")
    except (ValidationError, MemstreamError) as error:
        return f"refused ({type(error).__name__})"
    answers.batch(outcomes)
    return f"{len(outcomes)} outcomes"


async def _measure_bodies() -> None:
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        last = time.process_time()
        while True:
            await asyncio.sleep(0)
            now = time.process_time()
            longest = max(longest, now - last)
            last = now

    intake = _intake()
    gc.freeze()
    ticking = asyncio.create_task(tick())
    for body in bodies():
        await asyncio.sleep(0)
        longest = 0.0
        begun = time.process_time()
        outcome = await _take(intake, body)
        # Nearly all of it is the body's: while it pauses, the ticker goes round once.
        seconds = time.process_time() - begun
        await asyncio.sleep(0)
        print(
            f"{body.name:<48} {outcome:<28} {seconds * 1000:8.0f} ms of CPU, longest stop {longest * 1000:6.1f} ms",
            flush=True,
        )
    ticking.cancel()


def _attacks() -> Iterator[bytes]:
    """Yield what each hostile client sends, in turn; it then goes on by a byte a second."""
    bomb = gzip.compress(b"\0" * (8 * _MIB))
    head = f"POST {BATCH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {_KEY}\r\ncontent-type: {NDJSON}\r\n".encode()
    deep = b'{"user_id": "u", "text": "x", "metadata": {"a": ' + b"[" * 100_000
    while True:
        yield b"POST / HTTP/1.1\r\nhost: x\r\nx-slow: " + b"x" * 20_000
        yield head + b"content-length: 8000000\r\n\r\n" + b"x" * 200_000
        yield head + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % (len(bomb) + 9) + bomb
        yield head.replace(NDJSON.encode(), JSON.encode()) + b"content-length: 8000000\r\n\r\n" + deep
        # A stranger's.
        yield head.replace(_KEY.encode(), b"none") + b"content-length: 8000000\r\n\r\n" + b"x" * 200_000


async def _hold(port: int, number: int, attack: bytes, permits: asyncio.Semaphore, until: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        async with permits:
            source = (f"127.0.1.{1 + number % _ADDRESSES}", 0)
            _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=source)
            writer.write(attack)
        try:
            while not until.is_set() and not writer.is_closing():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), 1.0)
                writer.write(b"x")
        finally:
            writer.transport.abort()


async def _attack(count: int, port: int) -> None:
    permits, until, attacks = asyncio.Semaphore(_AT_ONCE), asyncio.Event(), _attacks()
    await asyncio.gather(*(_hold(port, number, next(attacks), permits, until) for number in range(count)))
    # Whoever started it ends it.
    await asyncio.Event().wait()


async def _good(url: str, times: list[float], until: asyncio.Event) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        while not until.is_set():
            begun = time.perf_counter()
            try:
                (await http.get(f"{url}/health/live")).raise_for_status()
            except httpx.HTTPError as error:
                print(f"the good client: {error!r}")
            times.append(time.perf_counter() - begun)
            await asyncio.sleep(0.1)


async def _measure_connections(count: int, service: str, first_port: int) -> None:
    async with opened(None, first_port=first_port) as site:
        await site.start("redis", "keys", *(("ingest-1",) if service == "ingest" else ("qdrant", "embeddings")))
        if service == "retriever":
            await site.start("ingest-1", "embedder-1", "retriever-1")
        await store_key(site.redis, _KEY, Credential("hostile"))
        name = f"{service}-1"
        process, url = psutil.Process(site.process(name)), site.url_of(name)
        port = httpx.URL(url).port or 0
        peak = before = process.memory_info().rss
        until = asyncio.Event()
        times: list[float] = []
        good = asyncio.create_task(_good(url, times, until))
        command = (sys.executable, "-m", __spec__.name, "--attack", str(port))
        attacker = await asyncio.create_subprocess_exec(*command, "--connections", str(count))
        clock = SystemClock()
        end = clock.monotonic() + _SECONDS
        most = 0
        while clock.monotonic() < end:
            await asyncio.sleep(0.2)
            peak = max(peak, process.memory_info().rss)
            most = max(most, process.num_fds())
        attacker.terminate()
        until.set()
        await asyncio.gather(good, attacker.wait())
        times.sort()
        print(
            f"{service}: {count} hostile connections, {most} files open at most: {before / _MIB:.0f} MiB before, "
            f"{peak / _MIB:.0f} MiB at most; a good client was answered {len(times)} times, median "
            f"{times[len(times) // 2] * 1000:.0f} ms, longest {times[-1] * 1000:.0f} ms"
        )


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.worst_inputs.bodies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--connections", type=int, default=0, help="hostile connections to hold; 0: measure bodies")
    parser.add_argument("--service", choices=("ingest", "retriever"), default="ingest")
    parser.add_argument("--first-port", type=int, default=25_000)
    parser.add_argument("--attack", type=int, default=0, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.attack:
        asyncio.run(_attack(chosen.connections, chosen.attack))
    elif chosen.connections:
        asyncio.run(_measure_connections(chosen.connections, chosen.service, chosen.first_port))
    else:
        asyncio.run(_measure_bodies())


if __name__ == "__main__":
    main()
