"""Measures search, memory and disk of the local stack as it fills: 1,000 to 1,000,000 messages, 1 to 10,000 users.

    python -m benchmarks.growth [--sizes 1000 10000 100000 1000000] [--users 1 100 10000] [--json FILE]

Each number of users has its own stack, which grows through the sizes. Messages are written directly to its Qdrant, as
an embedder writes them, but with random unit vectors and generated texts, evenly for all users; searches go through the
retriever, including the embedding of the query. Searches and readiness are also measured while the stack fills.
"""

import argparse
import asyncio
import contextlib
import itertools
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.command import carry_out, say, shared_options
from benchmarks.record import Record
from benchmarks.site import Failed
from memstream.contracts.stack import Stack
from memstream.local.stack.plan import FIXED_PORTS, MODELS
from memstream.local.stack.ports import free_base
from memstream.runtime.clock import SystemClock
from memstream.vectors.space import EmbeddingSpace, render
from memstream.vectors.store import (
    CandidateQuery,
    EmbeddedChunk,
    MemoryStore,
    StoredMessage,
    owner_of,
    without_retention,
)
from memstream.vectors.store.qdrant import QdrantStore

_NOT_MEASURED = [
    "a Qdrant server, more than one machine, a network",
    "real embeddings: the stored vectors are random, and so are the hits",
    "users with different numbers of messages, and concurrent searches",
]
_TENANT = "local"
_COLLECTION = "memstream"
_BATCH = 128
_CALLS = 2
_WORDS = 20_000
_LENGTH = 25
_CANDIDATES = 100
_PROBE_SECONDS = 0.2
_TIMEOUT = 120.0


class Texts:
    """Generated texts: 25 words each, of 20,000; the second is half as frequent as the first, the third a third."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self._words = np.array([f"word{number}" for number in range(_WORDS)])
        weights = 1 / np.arange(1, _WORDS + 1)
        self._weights = weights / weights.sum()

    def make(self, count: int, length: int = _LENGTH) -> list[str]:
        """Return texts."""
        return [" ".join(row) for row in self._chance.choice(self._words, (count, length), p=self._weights)]

    def vectors(self, count: int, dimensions: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return random unit vectors, one per row."""
        rows = self._chance.standard_normal((count, dimensions), dtype=np.float32)
        unit: np.ndarray[Any, np.dtype[np.float32]] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def spread(record: Record, name: str, where: str, samples: list[float], *shares: float) -> None:
    """Record percentiles of samples in seconds, and the samples, in milliseconds."""
    if not samples:
        return
    ranked = sorted(1000 * sample for sample in samples)
    record.samples[f"{name}, {where}"] = [round(sample, 3) for sample in ranked]
    for share in shares:
        title = "longest" if share == 1 else f"p{share * 100:g}"
        record.add(f"{name} {title}, {where}", "ms", ranked[min(len(ranked) - 1, int(len(ranked) * share))])


@dataclass(slots=True)
class Site:
    """A running stack, and the clients that fill and search it."""

    stack: Stack
    home: Path
    store: MemoryStore
    http: httpx.AsyncClient
    dimensions: int

    @property
    def qdrant(self) -> psutil.Process:
        """The process of the embedded Qdrant."""
        return psutil.Process(next(each.pid for each in self.stack.processes if each.name == "qdrant"))

    def disk(self) -> float:
        """Return the MiB that the embedded Qdrant takes on disk."""
        files = (self.home / "qdrant").rglob("*")
        return sum(file.stat().st_blocks * 512 for file in files if file.is_file()) / 2**20

    async def search(self, user: str, query: str) -> float:
        """Search as a client does; return the seconds."""
        started = time.perf_counter()
        answer = await self.http.post(f"{self.stack.retriever_url}/v1/search", json={"user_id": user, "query": query})
        answer.raise_for_status()
        if not answer.json()["hits"]:
            raise Failed(f"no hit for {user}")
        return time.perf_counter() - started

    async def ask(self, user: str, query: str, vector: list[float]) -> float:
        """Send Qdrant the retriever's query; return the seconds."""
        started = time.perf_counter()
        question = CandidateQuery(owner_of(_TENANT, user), np.asarray(vector, np.float32), query, _CANDIDATES)
        await self.store.propose([question])
        return time.perf_counter() - started

    async def ready(self) -> float:
        """Request Qdrant's readiness; return the seconds."""
        started = time.perf_counter()
        (await self.http.get(f"{self.stack.qdrant_url}/readyz")).raise_for_status()
        return time.perf_counter() - started


async def measure(options: argparse.Namespace, record: Record) -> None:
    """Fill a stack for each number of users."""
    for users in options.users:
        async with running(options) as site:
            await grow(site, users, options, record)


def main() -> None:
    """Run the benchmark with the options of the command line."""
    shared = shared_options(rounds=1, within=7200)
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=__doc__.split("\n\n")[0], parents=[shared])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000], help="messages")
    parser.add_argument("--users", type=int, nargs="+", default=[1, 100, 10_000])
    parser.add_argument("--model", choices=sorted(MODELS), default="minilm", help="embeds the queries [%(default)s]")
    parser.add_argument("--searches", type=int, default=200, help="searches for each figure [%(default)s]")
    parser.add_argument("--folder", type=Path, help="temporary folder for the stacks' data")
    carry_out("growth", _NOT_MEASURED, measure, parser.parse_args())


@contextlib.asynccontextmanager
async def running(options: argparse.Namespace) -> AsyncIterator[Site]:
    """Run a stack in its own folder, and remove both."""
    home = Path(tempfile.mkdtemp(dir=options.folder))
    command = [str(Path(sys.executable).with_name("memstream")), "up", "--home", str(home), "--model", options.model]
    command += ["--port-base", str(free_base(FIXED_PORTS + 1, first=options.first_port))]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        while not (home / "stack.json").exists():
            if process.returncode is not None:
                raise Failed("the stack did not start")
            await asyncio.sleep(0.05)
        stack = Stack.model_validate_json((home / "stack.json").read_bytes())
        dimensions = MODELS[options.model].dimensions
        space = EmbeddingSpace(stack.embedding_model, dimensions)
        store = QdrantStore(
            space,
            url=stack.qdrant_url,
            api_key=stack.qdrant_api_key,
            collection=_COLLECTION,
            timeout=_TIMEOUT,
            expiry=without_retention(SystemClock().now),
        )
        headers = {"Authorization": f"Bearer {stack.api_key}"}
        async with httpx.AsyncClient(headers=headers, timeout=_TIMEOUT) as http:
            yield Site(stack, home, store, http, dimensions)
        await store.aclose()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()
        shutil.rmtree(home)


async def grow(site: Site, users: int, options: argparse.Namespace, record: Record) -> None:
    """Fill a stack to each size, and measure there."""
    texts, filled = Texts(options.seed), 0
    for size in sorted(size for size in options.sizes if size >= users):
        where = f"{size:,} messages, {users:,} users"
        say(f"filling to {where}")
        await _fill(site, texts, range(filled, size), users, where=where, record=record)
        filled = size
        names = [f"user-{number % users}" for number in range(options.searches)]
        queries = texts.make(options.searches + 1, 6)
        await site.search(names[0], queries.pop())
        searches = [await site.search(*each) for each in zip(names, queries, strict=True)]
        spread(record, "search", where, searches, 0.5, 0.99)
        vectors = texts.vectors(options.searches, site.dimensions).tolist()
        asked = [await site.ask(*each) for each in zip(names, queries, vectors, strict=True)]
        spread(record, "of it in Qdrant", where, asked, 0.5, 0.99)
        await asyncio.sleep(6)  # Qdrant flushes every five seconds
        memory = site.qdrant.memory_info()
        record.add(f"Qdrant's memory without mapped files, {where}", "MiB", (memory.rss - memory.shared) / 2**20)
        record.add(f"Qdrant's resident memory with mapped files, {where}", "MiB", memory.rss / 2**20)
        record.add(f"Qdrant's disk, {where}", "MiB", site.disk())
        record.add(f"restart after a kill, {where}", "s", await _restarted(await _left_by_a_kill(site)))


async def _fill(  # noqa: PLR0913 - what is filled with what
    site: Site, texts: Texts, numbers: range, users: int, *, where: str, record: Record
) -> None:
    upserts: list[float] = []
    searches: list[float] = []
    ready: list[float] = []
    batches = iter(_batches(site, texts, numbers, users))

    async def write() -> None:
        for batch in batches:
            started = time.perf_counter()
            await site.store.store(batch)
            upserts.append(time.perf_counter() - started)

    async def probe(queries: Iterator[str]) -> None:
        while True:
            ready.append(await site.ready())
            if numbers.start:  # otherwise there may be no message to find yet
                searches.append(await site.search("user-0", next(queries)))
            await asyncio.sleep(_PROBE_SECONDS)

    prober = asyncio.create_task(probe(itertools.cycle(texts.make(1_000, 6))))
    cpu, started = _cpu(site.qdrant), time.perf_counter()
    await asyncio.gather(*(write() for _ in range(_CALLS)))
    took = time.perf_counter() - started
    if prober.done():
        await prober
    prober.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await prober
    record.add(f"filling, to {where}", "messages/s", len(numbers) / took)
    record.add(f"Qdrant's CPU for 1,000 messages, to {where}", "s", (_cpu(site.qdrant) - cpu) * 1000 / len(numbers))
    spread(record, "upsert of 128 messages", f"to {where}", upserts, 0.5, 0.99, 1)
    spread(record, "search while filling", f"to {where}", searches, 0.5, 0.99, 1)
    spread(record, "readiness while filling", f"to {where}", ready, 0.5, 0.99, 1)


def _batches(site: Site, texts: Texts, numbers: range, users: int) -> Iterator[list[EmbeddedChunk]]:
    begin = SystemClock().now() - timedelta(days=365)
    for start in range(0, len(numbers), _BATCH):
        chosen = numbers[start : start + _BATCH]
        rows = zip(chosen, texts.make(len(chosen)), texts.vectors(len(chosen), site.dimensions), strict=True)
        chunks = []
        for number, text, vector in rows:
            user, message_id, said = f"user-{number % users}", f"m{number}", begin + timedelta(seconds=number * 30)
            role = ("user", "assistant")[number // users % 2]
            owner = owner_of(_TENANT, user)
            message = StoredMessage(
                owner=owner.name,
                message_id=message_id,
                conversation_id=f"c{number // users // 50}",
                role=role,
                text=text,
                occurred_at=said,
                recorded_at=said,
                entry_ms=number,
            )
            chunks.append(
                EmbeddedChunk(owner, message, vector, render(text, speaker=None, role=role, occurred_at=said))
            )
        yield chunks


async def _left_by_a_kill(site: Site) -> Path:
    """Copy Qdrant's folder in its state after upserts and before the next flush."""
    again = range(20 * _BATCH)
    for batch in _batches(site, Texts(0), again, len(again)):
        await site.store.store(batch)
    kept = site.home / "killed"
    site.qdrant.suspend()
    await asyncio.to_thread(shutil.copytree, site.home / "qdrant", kept)
    site.qdrant.resume()
    return kept


async def _restarted(data: Path) -> float:
    """Start Qdrant on a folder, then remove the folder; return the seconds until Qdrant was ready."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memstream.local.qdrant", "--port", "0", "--data", str(data)),
        stdout=asyncio.subprocess.PIPE,
    )
    line = b"" if process.stdout is None else await process.stdout.readline()
    took = time.perf_counter() - started
    if process.returncode is None:
        process.kill()
    await process.wait()
    shutil.rmtree(data)
    if b"ready" not in line:
        raise Failed("Qdrant did not start again")
    return took


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
