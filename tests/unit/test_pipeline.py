"""Taking entries in hand, and letting go of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from unit.examples import entry, seeded

from memstream.contracts.keys import Lane
from memstream.embedder.batching import Batcher, BatchPolicy
from memstream.embedder.breaker import Breaker, BreakerPolicy
from memstream.embedder.chunks import Chunker
from memstream.embedder.concurrency import Concurrency
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.pipeline import Pipeline
from memstream.embedder.settlement import Settlement
from memstream.embedder.storing import Storing
from memstream.embedder.trouble import Trouble
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import SystemClock
from memstream.runtime.health import Pulse
from memstream.streams.connections import Redis, connect
from memstream.vectors.space import Vectors
from memstream.vectors.store import EmbeddedChunk


async def embed(texts: Sequence[str], _lane: Lane) -> Vectors:
    """Give each text the same row."""
    return np.ones((len(texts), 1), np.float32)


async def upsert(_points: Sequence[EmbeddedChunk]) -> None:
    """Store nothing."""


@asynccontextmanager
async def silent_redis() -> AsyncIterator[tuple[Redis, asyncio.Event]]:
    """Run a server that takes commands and never answers; give a client, and what is set once a command has come."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await over.wait()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", timeout=60.0)
        try:
            yield client, asked
        finally:
            over.set()
            await client.aclose()


def pipeline_on(redis: Redis) -> Pipeline:
    """Make a pipeline that settles there."""
    clock, chance, backoff = SystemClock(), seeded(), Backoff(initial=0.1, maximum=1.0)
    trouble, metrics, pulse = Trouble(), EmbedderMetrics(CollectorRegistry()), Pulse(clock, 30.0)
    storing = Storing(
        embed,
        upsert,
        clock=clock,
        chance=chance,
        backoff=backoff,
        trouble=trouble,
        metrics=metrics,
        pulse=pulse,
        breaker=Breaker(BreakerPolicy()),
        texts_per_call=128,
    )
    return Pipeline(
        batcher=Batcher(BatchPolicy(128, 250_000, 0.005)),
        chunker=Chunker(512, 64),
        storing=storing,
        settlement=Settlement(redis, clock),
        trouble=trouble,
        metrics=metrics,
        clock=clock,
        backoff=backoff,
        pulse=pulse,
        chance=chance,
        concurrency=Concurrency(8),
        held_messages=16,
        held_bytes=1_000_000,
        max_deliveries=5,
    )


@pytest.mark.parametrize("closed", [False, True])
async def test_an_entry_whose_offer_is_broken_off_keeps_no_lease_unless_it_is_handed_back(*, closed: bool) -> None:
    async with silent_redis() as (redis, asked):
        pipeline = pipeline_on(redis)
        offering = asyncio.create_task(pipeline.offer([entry(b"no event", entry_id="1-0"), entry(b"", entry_id="2-0")]))
        await asked.wait()  # the first is being buried, the second waits
        if closed:
            await pipeline.close()

        offering.cancel()
        await asyncio.gather(offering, return_exceptions=True)

        assert [delivery.entry_id for delivery in pipeline.held] == (["1-0", "2-0"] if closed else [])
