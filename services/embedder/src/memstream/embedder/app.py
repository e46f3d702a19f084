"""The composition root: the one place that knows which parts the embedder is made of."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from faststream.asgi import AsgiFastStream
from prometheus_client import CollectorRegistry

from memstream.embedder.batching import Batcher, BatchPolicy
from memstream.embedder.chunks import Chunker
from memstream.embedder.leases import Leases
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.operations import operation_routes
from memstream.embedder.pipeline import Pipeline
from memstream.embedder.settings import EmbedderSettings
from memstream.embedder.settlement import Settlement
from memstream.embedder.storing import Storing
from memstream.embedder.streams import source_streams
from memstream.embedder.subscriptions import Subscriptions
from memstream.embedder.trouble import Trouble
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.errors import ConfigurationError, GlobalFault, MemstreamError, Unavailable
from memstream.runtime.health import Health, Pulse
from memstream.runtime.streams import Redis, connect, create_groups
from memstream.vectors.collection import Collection
from memstream.vectors.embeddings import EmbeddingsApi
from memstream.vectors.space import EmbeddingSpace

_log = logging.getLogger(__name__)

_WATCH_SECONDS = 0.5
_CANCEL_SECONDS = 0.5
_MAX_SILENCE = 180.0
"""Seconds without a beat: longer than any call may take."""


class LoopEnded(MemstreamError):
    """A loop that must run for ever has ended: the process is of no use any more."""


@dataclass(frozen=True, slots=True)
class Embedder:
    """A worker, wired and not yet started."""

    settings: EmbedderSettings
    operations: AsgiFastStream
    client: Redis
    collection: Collection
    embeddings: EmbeddingsApi
    pipeline: Pipeline
    leases: Leases
    subscriptions: Subscriptions
    trouble: Trouble
    clock: Clock
    chance: Random
    backoff: Backoff
    watch_pulse: Pulse

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish what is in hand within the grace period, and leave the rest pending.

        Raises:
            LoopEnded: a loop has ended by itself.

        """
        prepared = await self._prepare(stop)
        if prepared:
            await self._work(stop)
        await self.collection.aclose()
        await self.embeddings.aclose()
        await self.client.aclose()

    async def _prepare(self, stop: asyncio.Event) -> bool:
        steps: tuple[Callable[[], Awaitable[None]], ...] = (
            lambda: create_groups(self.client, self.settings.partitions),
            self.collection.ensure,
        )
        for step in steps:
            failures = 0
            while not stop.is_set():
                self.watch_pulse.beat()
                try:
                    await step()
                except (Unavailable, GlobalFault) as error:
                    failures += 1
                    self.trouble.report(error)
                    await self.clock.sleep(min(2.0, self.backoff.delay(failures, self.chance)))
                else:
                    self.trouble.clear()
                    break
        return not stop.is_set()

    async def _work(self, stop: asyncio.Event) -> None:
        pipeline = asyncio.create_task(self.pipeline.run())
        leases = asyncio.create_task(self.leases.keep_own())
        intake = asyncio.create_task(self._intake())
        watch = asyncio.create_task(self._watch(stop))
        try:
            done, _ = await asyncio.wait([pipeline, leases, intake, watch], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {watch}:
                raise LoopEnded("a loop has ended") from task.exception()
            watch.result()
        finally:
            # Nothing new comes in; the leases last, for work in hand still needs them.
            await _cancel(intake, watch)
            await self.subscriptions.stop()
            await self.pipeline.close()
            await asyncio.wait([pipeline], timeout=self.settings.grace.total_seconds())
            await _cancel(pipeline, leases)

    async def _intake(self) -> None:
        await self.leases.drain_own()
        await self.subscriptions.start()
        _log.info("reading")
        await self.leases.take_over()

    async def _watch(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.watch_pulse.beat()
            dead = self.subscriptions.dead()
            if dead:
                raise LoopEnded(f"reading has ended: {', '.join(dead)}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _WATCH_SECONDS)


async def _cancel(*tasks: "asyncio.Task[None]") -> None:
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        # A library may swallow a cancellation that comes in the middle of a read; then it is said again.
        _, left = await asyncio.wait(left, timeout=_CANCEL_SECONDS)


def build(settings: EmbedderSettings, clock: Clock, chance: Random) -> Embedder:
    """Wire a worker. Nothing is connected before it runs.

    Raises:
        ConfigurationError: settings contradict each other.

    """
    if settings.chunk_overlap_tokens >= settings.chunk_tokens:
        raise ConfigurationError("set MEMSTREAM_EMBEDDER_CHUNK_OVERLAP_TOKENS below …_CHUNK_TOKENS")
    client = connect(str(settings.redis_url))
    registry = CollectorRegistry()
    health = Health(clock)
    trouble = Trouble()
    health.check("work", trouble.check)
    context = _Context(settings, clock, chance, Backoff(), trouble, EmbedderMetrics(registry))
    collection, embeddings = _servers(settings)
    pipeline = _pipeline(context, collection, embeddings, client, health.pulse("pipeline", _MAX_SILENCE))
    sources = source_streams(settings.partitions)
    leases = Leases(
        client,
        sources,
        consumer=settings.consumer,
        claim_idle=settings.claim_idle.total_seconds(),
        offer=pipeline.offer,
        held=lambda: pipeline.held,
        clock=clock,
        pulse=health.pulse("leases", _MAX_SILENCE),
    )
    return Embedder(
        settings=settings,
        operations=AsgiFastStream(asgi_routes=operation_routes(health, registry)),
        client=client,
        collection=collection,
        embeddings=embeddings,
        pipeline=pipeline,
        leases=leases,
        subscriptions=Subscriptions(str(settings.redis_url), sources, consumer=settings.consumer, offer=pipeline.offer),
        trouble=trouble,
        clock=clock,
        chance=chance,
        backoff=context.backoff,
        watch_pulse=health.pulse("watch", _MAX_SILENCE),
    )


@dataclass(frozen=True, slots=True)
class _Context:
    """What most parts need."""

    settings: EmbedderSettings
    clock: Clock
    chance: Random
    backoff: Backoff
    trouble: Trouble
    metrics: EmbedderMetrics


def _servers(settings: EmbedderSettings) -> tuple[Collection, EmbeddingsApi]:
    space = EmbeddingSpace(settings.embeddings_model, settings.embeddings_dimensions)
    collection = Collection(
        space,
        url=str(settings.qdrant_url),
        api_key=settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None,
        name=settings.collection,
        timeout=settings.qdrant_timeout.total_seconds(),
    )
    embeddings = EmbeddingsApi(
        space,
        url=str(settings.embeddings_url),
        api_key=settings.embeddings_api_key.get_secret_value(),
        timeout=settings.embeddings_timeout.total_seconds(),
        send_dimensions=settings.embeddings_send_dimensions,
    )
    return collection, embeddings


def _pipeline(
    context: _Context, collection: Collection, embeddings: EmbeddingsApi, client: Redis, pulse: Pulse
) -> Pipeline:
    settings = context.settings
    storing = Storing(
        embeddings.embed,
        collection.upsert,
        clock=context.clock,
        chance=context.chance,
        backoff=context.backoff,
        trouble=context.trouble,
        metrics=context.metrics,
        pulse=pulse,
        texts_per_call=settings.batch_texts,
    )
    return Pipeline(
        batcher=Batcher(BatchPolicy(settings.batch_texts, settings.batch_bytes, settings.linger.total_seconds())),
        chunker=Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens),
        storing=storing,
        settlement=Settlement(client, context.clock),
        trouble=context.trouble,
        metrics=context.metrics,
        clock=context.clock,
        backoff=context.backoff,
        pulse=pulse,
        chance=context.chance,
        concurrency=settings.concurrency,
        held_messages=settings.held_messages,
        held_bytes=settings.held_bytes,
        max_deliveries=settings.max_deliveries,
    )
