"""Measures search, memory and disk as a Qdrant fills: 1,000 to 1,000,000 messages, 1 to 10,000 users.

    python -m benchmarks.growth [--sizes 1000 10000 100000 1000000] [--users 1 100 10000] [--json FILE]
    python -m benchmarks.growth --qdrant-binary FILE --variants none int8 binary int8+disk [--folder FOLDER]

Each number of users has its own installation, which grows through the sizes. Messages are written directly to its
Qdrant, as an embedder writes them, but with generated texts and vectors, evenly for all users; searches go through the
retriever, including the embedding of the query. Searches and readiness are also measured while it fills.

The Qdrant is the stand-in of the local stack, or a server that is started from a binary. A server's collection is made
with the first of the variants, and changed to each of the others; each is measured when its indexes are built, and the
server was killed and started again. What it finds is compared with an exact search of the first.
"""

import argparse
import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import httpx
import psutil

from benchmarks.command import carry_out, say, shared_options
from benchmarks.generated import BATCH, TENANT, Texts, batches
from benchmarks.premises import Premises
from benchmarks.record import Record
from benchmarks.site import Failed, Site, opened
from benchmarks.variants import (
    NEAREST,
    Judge,
    Question,
    Variant,
    largest_error,
    proposed,
    read_variant,
    recall,
)
from memstream.local.stack.plan import MODELS
from memstream.runtime.clock import SystemClock
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import CandidateQuery, MemoryStore, owner_of, without_retention
from memstream.vectors.store.qdrant import QdrantStore

_NOT_MEASURED = [
    "more than one machine, a network",
    "real embeddings: the stored vectors are generated, and so are the hits",
    "users with different numbers of messages, and concurrent searches",
]
_CALLS = 2
_CANDIDATES = 100
_PROBE_SECONDS = 0.2
_TIMEOUT = 120.0
_SETTLE_SECONDS = 3600.0
_FLUSHED_SECONDS = 12.0
"""More than two of the periods after which Qdrant writes what it has to its files."""
_MIB = 2**20
_TOLD_EVERY = 500


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
class Grown:
    """A running installation, and the clients that fill and search it."""

    site: Site
    store: MemoryStore
    http: httpx.AsyncClient
    judge: Judge
    dimensions: int

    @property
    def qdrant(self) -> psutil.Process:
        """The process of Qdrant."""
        return psutil.Process(self.site.process("qdrant"))

    def disk(self) -> float:
        """Return the MiB that Qdrant takes on disk."""
        files = (self.site.folder / "qdrant").rglob("*")
        return sum(file.stat().st_blocks * 512 for file in files if file.is_file()) / _MIB

    async def search(self, user: str, query: str) -> float:
        """Search as a client does; return the seconds."""
        started = time.perf_counter()
        url, headers = self.site.url_of("retriever-1"), {"Authorization": f"Bearer {self.site.keys.api_key}"}
        answer = await self.http.post(f"{url}/v1/search", json={"user_id": user, "query": query}, headers=headers)
        answer.raise_for_status()
        if not answer.json()["hits"]:
            raise Failed(f"no hit for {user}")
        return time.perf_counter() - started

    async def ask(self, question: Question, query: str) -> float:
        """Send Qdrant the retriever's query; return the seconds."""
        started = time.perf_counter()
        await self.store.propose([CandidateQuery(question.owner, question.vector, query, _CANDIDATES)])
        return time.perf_counter() - started

    async def ready(self) -> float:
        """Request Qdrant's readiness; return the seconds."""
        started = time.perf_counter()
        (await self.http.get("/readyz")).raise_for_status()
        return time.perf_counter() - started


async def measure(options: argparse.Namespace, record: Record) -> None:
    """Fill an installation for each number of users."""
    if options.qdrant_binary is None:
        record.not_measured = ["a Qdrant server", *record.not_measured]
    for users in options.users:
        async with running(options) as grown:
            await grow(grown, users, options, record)


def main() -> None:
    """Run the benchmark with the options of the command line."""
    shared = shared_options(rounds=1, within=7200)
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=__doc__.split("\n\n")[0], parents=[shared])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000], help="messages")
    parser.add_argument("--users", type=int, nargs="+", default=[1, 100, 10_000])
    parser.add_argument("--model", choices=sorted(MODELS), default="minilm", help="embeds the queries [%(default)s]")
    parser.add_argument("--searches", type=int, default=200, help="searches for each figure [%(default)s]")
    parser.add_argument("--folder", type=Path, help="folder for the data, which is removed at the end")
    parser.add_argument("--qdrant-binary", type=Path, metavar="FILE", help="a Qdrant server to start")
    parser.add_argument(
        "--variants",
        type=read_variant,
        nargs="+",
        default=[Variant()],
        metavar="VARIANT",
        help="with a server: none, int8 or binary, each also with +disk for vectors on disk [none]",
    )
    options = parser.parse_args()
    if options.qdrant_binary is None and options.variants != [Variant()]:
        parser.error("--variants: only with --qdrant-binary, since the stand-in has none")
    carry_out("growth", _NOT_MEASURED, measure, options)


@contextlib.asynccontextmanager
async def running(options: argparse.Namespace) -> AsyncIterator[Grown]:
    """Run an installation in a folder of its own, and remove both."""
    binary = None if options.qdrant_binary is None else options.qdrant_binary.absolute()
    premises = Premises(qdrant_binary=binary, model=options.model, folder=options.folder)
    model, first = MODELS[options.model], options.variants[0]
    made_with = {"on_disk_vectors": first.on_disk, "quantization": first.quantization}
    async with opened(None, first_port=options.first_port, premises=premises, **made_with) as site:
        await site.start("redis", "qdrant", "embeddings")
        await site.start("keys")
        await site.start("embedder-1", "retriever-1")
        space = EmbeddingSpace(model.id, model.dimensions)
        url, key = site.plan.qdrant_url, site.secrets.qdrant_api_key
        store = QdrantStore(
            space,
            url=url,
            api_key=key,
            collection=site.plan.collection,
            timeout=_TIMEOUT,
            expiry=without_retention(SystemClock().now),
        )
        async with httpx.AsyncClient(base_url=url, headers={"api-key": key}, timeout=_TIMEOUT) as http:
            judge = Judge(http, store, site.plan.collection, space.vector_name)
            yield Grown(site, store, http, judge, model.dimensions)
        await store.aclose()


async def grow(grown: Grown, users: int, options: argparse.Namespace, record: Record) -> None:
    """Fill an installation to each size, and measure there."""
    texts, filled, first = Texts(options.seed), 0, options.variants[0]
    for size in sorted(size for size in options.sizes if size >= users):
        where = f"{size:,} messages, {users:,} users"
        say(f"filling to {where}")
        if filled and len(options.variants) > 1:
            await grown.judge.change(first)
        await _fill(grown, texts, range(filled, size), users, where=where, record=record)
        filled = size
        chosen = [f"user-{number % users}" for number in range(options.searches)]
        vectors = texts.vectors(options.searches, grown.dimensions)
        questions = [Question(owner_of(TENANT, user), vector) for user, vector in zip(chosen, vectors, strict=True)]
        asked = Asked(chosen, texts.make(options.searches + 1, 6), questions, [])
        for variant in options.variants:
            if variant != first:
                await grown.judge.change(variant)
            said = where if variant == Variant() else f"{where}, {variant.name}"
            say(f"indexes of {said}")
            cpu = _cpu(grown.qdrant)
            record.add(f"until indexes are built, {said}", "s", await grown.judge.settle(_SETTLE_SECONDS))
            record.add(f"Qdrant's CPU for that, {said}", "s", _cpu(grown.qdrant) - cpu)
            if options.qdrant_binary is not None:
                asked.nearest = asked.nearest or await grown.judge.exact(questions)
            await _ask(grown, asked, said, record)


@dataclass(slots=True)
class Asked:
    """What is asked for each figure."""

    users: list[str]
    texts: list[str]
    """One more than users."""
    questions: list[Question]
    nearest: list[dict[str, float]]
    """The exact answer to each question; none of the stand-in, which compares with all."""


async def _ask(grown: Grown, asked: Asked, where: str, record: Record) -> None:
    """Measure a Qdrant that was killed and started again, when it had written everything to its files."""
    await asyncio.sleep(_FLUSHED_SECONDS)
    await grown.site.kill("qdrant")
    started = time.perf_counter()
    await grown.site.start("qdrant")
    await grown.judge.settle(_SETTLE_SECONDS)
    record.add(f"restart after a kill, {where}", "s", time.perf_counter() - started)
    _note_memory(grown, f"{where}, after the start", record)
    texts = list(asked.texts)
    await grown.search(asked.users[0], texts.pop())
    searches = [await grown.search(*each) for each in zip(asked.users, texts, strict=True)]
    spread(record, "search", where, searches, 0.5, 0.95, 0.99)
    cpu = _cpu(grown.qdrant)
    took = [await grown.ask(*each) for each in zip(asked.questions, texts, strict=True)]
    spread(record, "of it in Qdrant", where, took, 0.5, 0.95, 0.99)
    record.add(f"Qdrant's CPU for a search, {where}", "ms", 1000 * (_cpu(grown.qdrant) - cpu) / len(took))
    if asked.nearest:
        await _compare(grown, asked, where, record)
    _note_memory(grown, where, record)
    record.add(f"Qdrant's disk, {where}", "MiB", grown.disk())


async def _compare(grown: Grown, asked: Asked, where: str, record: Record) -> None:
    """Record what is found of what an exact search finds."""
    found = [await grown.judge.ask(question) for question in asked.questions]
    pairs = list(zip(found, asked.nearest, strict=True))
    record.add(f"recall at {NEAREST}, {where}", "ratio", mean(recall(*pair) for pair in pairs))
    record.add(f"nearest {NEAREST} among the candidates, {where}", "ratio", mean(proposed(*pair) for pair in pairs))
    record.add(f"largest error of a cosine, {where}", "", max(largest_error(*pair) for pair in pairs))


def _note_memory(grown: Grown, where: str, record: Record) -> None:
    memory = grown.qdrant.memory_info()
    record.add(f"Qdrant's memory without mapped files, {where}", "MiB", (memory.rss - memory.shared) / _MIB)
    record.add(f"Qdrant's resident memory with mapped files, {where}", "MiB", memory.rss / _MIB)


async def _fill(  # noqa: PLR0913 - what is filled with what
    grown: Grown, texts: Texts, numbers: range, users: int, *, where: str, record: Record
) -> None:
    upserts: list[float] = []
    searches: list[float] = []
    ready: list[float] = []
    chunks = iter(batches(texts, numbers, users, grown.dimensions))

    async def write() -> None:
        for batch in chunks:
            started = time.perf_counter()
            await grown.store.store(batch)
            upserts.append(time.perf_counter() - started)
            if len(upserts) % _TOLD_EVERY == 0:
                say(f"  {len(upserts) * BATCH:,} messages")

    async def probe(queries: Iterator[str]) -> None:
        while True:
            ready.append(await grown.ready())
            if numbers.start:  # otherwise there may be no message to find yet
                searches.append(await grown.search("user-0", next(queries)))
            await asyncio.sleep(_PROBE_SECONDS)

    prober = asyncio.create_task(probe(itertools.cycle(texts.make(1_000, 6))))
    cpu, started = _cpu(grown.qdrant), time.perf_counter()
    try:
        await asyncio.gather(*(write() for _ in range(_CALLS)))
        took = time.perf_counter() - started
    finally:
        prober.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await prober
    record.add(f"filling, to {where}", "messages/s", len(numbers) / took)
    record.add(f"Qdrant's CPU for 1,000 messages, to {where}", "s", (_cpu(grown.qdrant) - cpu) * 1000 / len(numbers))
    spread(record, "upsert of 128 messages", f"to {where}", upserts, 0.5, 0.99, 1)
    spread(record, "search while filling", f"to {where}", searches, 0.5, 0.99, 1)
    spread(record, "readiness while filling", f"to {where}", ready, 0.5, 0.99, 1)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
