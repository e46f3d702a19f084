"""Pipelines that tests are made of: everything but the settlement is faked."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import numpy as np
from prometheus_client import CollectorRegistry
from unit.examples import FencedPoints, NoTombstones, seeded, tokens

from memstream.contracts.keys import Lane
from memstream.embedder.batch_processor import BatchProcessor, Servers
from memstream.embedder.batching import Batcher, BatchPolicy
from memstream.embedder.breaker import Breaker, BreakerPolicy, DeadLetterGate
from memstream.embedder.chunks import Chunker
from memstream.embedder.concurrency import ConcurrencyController
from memstream.embedder.dependencies import DependencyFaults
from memstream.embedder.held_entries import HeldEntries
from memstream.embedder.jobs import Deleted, DeletionRequest, Outcome, prepare
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.outcomes import Outcomes
from memstream.embedder.pipeline import Pipeline, Stages
from memstream.embedder.retries import Retrier
from memstream.embedder.settlement import Settlement
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import SystemClock
from memstream.runtime.health import Pulse
from memstream.streams.connections import Redis
from memstream.vectors.space import Vectors

Deleting = Callable[[Sequence[DeletionRequest]], Awaitable[list[Outcome]]]


async def embed(texts: Sequence[str], _lane: Lane) -> Vectors:
    """Give each text the same row."""
    return np.ones((len(texts), 1), np.float32)


async def delete(requests: Sequence[DeletionRequest]) -> list[Outcome]:
    """Delete nothing."""
    return [Deleted(request.event.erasure_id) for request in requests]


def pipeline_on(redis: Redis, delete: Deleting = delete, messages: int = 16) -> tuple[Pipeline, HeldEntries]:
    """Make a pipeline that settles there, and what it holds."""
    clock, faults, metrics = SystemClock(), DependencyFaults(), EmbedderMetrics(CollectorRegistry())
    pulse = Pulse(clock, 30.0)
    retrying = Retrier(faults, clock, seeded(), Backoff(initial=0.1, maximum=1.0), pulse.beat)
    gate = DeadLetterGate(Breaker(BreakerPolicy()), faults, clock, pulse)
    held = HeldEntries(messages, 1_000_000, metrics.held)
    stages = Stages(
        prepare=partial(prepare, chunker=Chunker(512, 64), max_deliveries=5),
        batcher=Batcher(BatchPolicy(128, 250_000, 0.005)),
        storing=BatchProcessor(
            Servers(embed, FencedPoints()), NoTombstones(), retrying, gate, metrics, new_token=tokens()
        ),
        delete=delete,
        dead_letters=gate,
        outcomes=Outcomes(Settlement(redis, clock), retrying, held, metrics),
    )
    return Pipeline(stages, held, ConcurrencyController(8), clock, pulse), held
