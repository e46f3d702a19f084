"""Pipelines that tests are made of: everything but the settlement is faked."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from prometheus_client import CollectorRegistry
from unit.examples import FencedPoints, NoTombstones, seeded, tokens

from memstream.contracts.keys import Lane
from memstream.embedder.batch_processor import BatchProcessor, Servers
from memstream.embedder.batching import Batcher, BatchPolicy
from memstream.embedder.breaker import BreakerPolicy, DeadLetterGate
from memstream.embedder.chunks import Chunker
from memstream.embedder.concurrency import ConcurrencyController
from memstream.embedder.dependencies import DependencyFaults
from memstream.embedder.held_entries import HeldEntries
from memstream.embedder.intake import Intake
from memstream.embedder.jobs import Deleted, DeletionRequest, Outcome, prepare
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.outcomes import Outcomes
from memstream.embedder.parked_entries import ParkedEntries
from memstream.embedder.pending_list import PendingList
from memstream.embedder.pipeline import Pipeline, Stages
from memstream.embedder.retries import Retrier
from memstream.embedder.settlement import Settlement
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock, SystemClock
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


@dataclass(frozen=True, slots=True)
class Parts:
    """A pipeline, what it holds, and what it has parked."""

    pipeline: Pipeline
    held: HeldEntries
    parked: ParkedEntries


def pipeline_on(  # noqa: PLR0913 - any of them, by name
    redis: Redis,
    delete: Deleting = delete,
    messages: int = 16,
    *,
    servers: Servers | None = None,
    parked: int = 10_000,
    batch_texts: int = 128,
    clock: Clock | None = None,
    calls: int = 8,
) -> Parts:
    """Make a pipeline that settles there."""
    clock = clock or SystemClock()
    faults, metrics = DependencyFaults(), EmbedderMetrics(CollectorRegistry())
    pulse = Pulse(clock, 30.0)
    retrying = Retrier(faults, clock, seeded(), Backoff(initial=0.1, maximum=1.0), pulse.beat)
    held, put_aside = HeldEntries(messages, 1_000_000, metrics.held), ParkedEntries(parked)
    pending = PendingList(redis, "here")
    stages = Stages(
        intake=Intake(held, put_aside, pending, retrying, clock, read_entries=256),
        prepare=partial(prepare, chunker=Chunker(512, 64), max_deliveries=5, now=clock.now),
        batcher=Batcher(BatchPolicy(batch_texts, 250_000, 0.005)),
        storing=BatchProcessor(
            servers or Servers(embed, FencedPoints()), NoTombstones(), retrying, metrics, new_token=tokens()
        ),
        delete=delete,
        dead_letters=DeadLetterGate(BreakerPolicy(), faults, clock),
        outcomes=Outcomes(Settlement(redis, pending, clock), retrying, metrics),
    )
    return Parts(Pipeline(stages, ConcurrencyController(calls), clock, pulse), held, put_aside)
