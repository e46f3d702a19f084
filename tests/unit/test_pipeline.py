"""Taking entries in hand, and letting go of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from unit.examples import NoTombstones, entry, seeded

from memstream.contracts.keys import Lane
from memstream.embedder.batching import Batcher, BatchPolicy
from memstream.embedder.breaker import Breaker, BreakerPolicy, DeadLetterGate
from memstream.embedder.chunks import Chunker
from memstream.embedder.concurrency import Concurrency
from memstream.embedder.dependencies import DependencyFaults
from memstream.embedder.held_entries import HeldEntries
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.outcomes import Outcomes
from memstream.embedder.pipeline import Pipeline, Stages
from memstream.embedder.retrying import Retrying
from memstream.embedder.settlement import Settlement
from memstream.embedder.storing import Servers, Storing
from memstream.embedder.work import Deleted, DeletionRequest, Outcome, prepare
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


async def delete(requests: Sequence[DeletionRequest]) -> list[Outcome]:
    """Delete nothing."""
    return [Deleted(request.event.erasure_id) for request in requests]


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


def pipeline_on(redis: Redis) -> tuple[Pipeline, HeldEntries]:
    """Make a pipeline that settles there, and what it holds."""
    clock, faults, metrics = SystemClock(), DependencyFaults(), EmbedderMetrics(CollectorRegistry())
    pulse = Pulse(clock, 30.0)
    retrying = Retrying(faults, clock, seeded(), Backoff(initial=0.1, maximum=1.0), pulse.beat)
    gate = DeadLetterGate(Breaker(BreakerPolicy()), faults, clock, pulse)
    held = HeldEntries(16, 1_000_000, metrics.held)
    stages = Stages(
        prepare=partial(prepare, chunker=Chunker(512, 64), max_deliveries=5),
        batcher=Batcher(BatchPolicy(128, 250_000, 0.005)),
        storing=Storing(Servers(embed, upsert), NoTombstones(), retrying, gate, metrics),
        delete=delete,
        dead_letters=gate,
        outcomes=Outcomes(Settlement(redis, clock), retrying, held, metrics),
    )
    return Pipeline(stages, held, Concurrency(8), clock, pulse), held


@pytest.mark.parametrize("closed", [False, True])
async def test_an_entry_whose_offer_is_broken_off_keeps_no_lease_unless_it_is_handed_back(*, closed: bool) -> None:
    async with silent_redis() as (redis, asked):
        pipeline, held = pipeline_on(redis)
        offering = asyncio.create_task(pipeline.offer([entry(b"no event", entry_id="1-0"), entry(b"", entry_id="2-0")]))
        await asked.wait()  # the first is being dead-lettered, the second waits
        if closed:
            pipeline.close()

        offering.cancel()
        await asyncio.gather(offering, return_exceptions=True)

        assert [delivery.entry_id for delivery in held.entries] == (["1-0", "2-0"] if closed else [])
