"""The composition root: the one place that knows which parts the embedder is made of."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from faststream.asgi import AsgiFastStream
from prometheus_client import CollectorRegistry

from memstream.contracts.keys import Lane
from memstream.embedder.batching import Batcher, BatchPolicy
from memstream.embedder.breaker import Breaker, BreakerPolicy
from memstream.embedder.chunks import Chunker
from memstream.embedder.concurrency import Concurrency
from memstream.embedder.consumers import Consumers
from memstream.embedder.forgetting import Forgetting
from memstream.embedder.leases import Leases
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.operations import operation_routes
from memstream.embedder.pipeline import Pipeline
from memstream.embedder.settings import EmbedderSettings
from memstream.embedder.settlement import Settlement
from memstream.embedder.storing import Storing
from memstream.embedder.streams import source_streams
from memstream.embedder.subscriptions import READ_ENTRIES, Subscriptions
from memstream.embedder.trimming import Trimming
from memstream.embedder.trouble import Trouble
from memstream.embedder.upkeep import Upkeep
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Throttled, Unavailable
from memstream.runtime.health import Health, Pulse
from memstream.streams.connections import Redis, connect, ping
from memstream.streams.groups import create_groups
from memstream.vectors.composition import open_embeddings, open_store
from memstream.vectors.embeddings import DEPENDENCY as EMBEDDINGS
from memstream.vectors.embeddings.metering import MeteredEmbeddings, Watch
from memstream.vectors.space import Vectors
from memstream.vectors.store import MemoryStore

_log = logging.getLogger(__name__)

_WATCH_SECONDS = 0.5
_LONGEST_WAIT = 2.0
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
    store: MemoryStore
    embeddings: MeteredEmbeddings
    pipeline: Pipeline
    leases: Leases
    upkeep: Upkeep
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
        stopping = asyncio.create_task(stop.wait())
        preparing = asyncio.create_task(self._prepare())
        await asyncio.wait([preparing, stopping], return_when=asyncio.FIRST_COMPLETED)
        await _cancel(stopping)
        if preparing.done():
            preparing.result()
            await self._work(stop)
        await _cancel(preparing)
        await self.store.aclose()
        await self.embeddings.aclose()
        await self.client.aclose()

    async def _prepare(self) -> None:
        await self._persist(lambda: create_groups(self.client, self.settings.partitions))
        await self._persist(self.store.ensure)
        await self._persist(lambda: _try_embeddings(self.embeddings))

    async def _persist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Try a step until it succeeds."""
        failures = 0
        failed: set[str] = set()
        while True:
            self.watch_pulse.beat()
            try:
                await step()
            except (Unavailable, GlobalFault) as error:
                failures += 1
                failed.add(error.dependency)
                self.trouble.report(error)
                await self.clock.sleep(min(_LONGEST_WAIT, self.backoff.delay(failures, self.chance)))
            else:
                for dependency in failed:
                    self.trouble.clear(dependency)
                return

    async def _work(self, stop: asyncio.Event) -> None:
        pipeline = asyncio.create_task(self.pipeline.run())
        leases = asyncio.create_task(self.leases.keep_own())
        upkeep = asyncio.create_task(self.upkeep.run())
        intake = asyncio.create_task(self._intake())
        watch = asyncio.create_task(self._watch(stop))
        try:
            loops = [pipeline, leases, upkeep, intake, watch]
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {watch}:
                raise LoopEnded(f"a loop has ended: {task.exception()!r}") from task.exception()
            watch.result()
        finally:
            # Nothing new comes in; the leases last, for work in hand still needs them.
            await self.pipeline.close()
            await _cancel(intake, upkeep, watch)
            await self.subscriptions.stop()
            await asyncio.wait([pipeline], timeout=self.settings.grace.total_seconds())
            await _cancel(pipeline, leases)
            await self._hand_back()

    async def _hand_back(self) -> None:
        try:
            await self.leases.hand_back()
        except Unavailable as error:
            _log.warning("not handed back: %s", error)

    async def _intake(self) -> None:
        await self._persist(self._take_up)
        await self._persist(self.subscriptions.start)
        self.trouble.note_reading()
        _log.info("reading")
        await self.leases.take_over()

    async def _take_up(self) -> None:
        # Again, for Redis may have lost them since.
        await create_groups(self.client, self.settings.partitions)
        await self.leases.drain_own()

    async def _watch(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.watch_pulse.beat()
            dead = self.subscriptions.dead()
            if dead:
                raise LoopEnded(f"reading has ended: {', '.join(dead)}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _WATCH_SECONDS)


async def _try_embeddings(embeddings: MeteredEmbeddings) -> None:
    """See that a word can be embedded.

    Raises:
        GlobalFault: the key, the model or the dimensions are wrong. It would fail for any message.
        Unavailable: the server is out of reach.

    """
    try:
        await embeddings.embed(["ready"], "live")
    except Rejected as error:
        raise GlobalFault(EMBEDDINGS, error.reason) from error


async def _cancel(*tasks: "asyncio.Task[Any]") -> None:
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
    client = connect(str(settings.redis_url))
    registry = CollectorRegistry()
    health = Health(clock)
    trouble = Trouble()
    health.check("work", trouble.check)
    health.check("redis", lambda: ping(client))
    context = _Context(settings, clock, chance, Backoff(), trouble, EmbedderMetrics(registry))
    concurrency = Concurrency(settings.concurrency)
    watch = _watch_calls(concurrency, context)
    store = open_store(settings)
    embeddings = open_embeddings(settings, client, clock, watch)
    health.check("qdrant", store.check)
    pulse = health.pulse("pipeline", _MAX_SILENCE)
    pipeline = _pipeline(context, store, embeddings, client, pulse, concurrency)
    sources = source_streams(settings.partitions)
    leases = Leases(
        client,
        sources,
        consumer=settings.consumer,
        claim_idle=settings.claim_idle.total_seconds(),
        offer=pipeline.offer,
        held=lambda: pipeline.held,
        in_trouble=lambda: trouble.present,
        clock=clock,
        pulse=health.pulse("leases", _MAX_SILENCE),
    )
    return Embedder(
        settings=settings,
        operations=AsgiFastStream(asgi_routes=operation_routes(health, registry)),
        client=client,
        store=store,
        embeddings=embeddings,
        pipeline=pipeline,
        leases=leases,
        upkeep=_upkeep(context, client, health),
        subscriptions=Subscriptions(
            str(settings.redis_url),
            sources,
            consumer=settings.consumer,
            offer=pipeline.offer,
            read_entries=max(1, min(READ_ENTRIES, settings.held_messages // len(sources))),
        ),
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


def _watch_calls(concurrency: Concurrency, context: _Context) -> Watch:
    """Let the concurrency learn from every call to the provider."""

    def watch(texts: int, seconds: float, failure: MemstreamError | None) -> None:
        now = context.clock.monotonic()
        if failure is None:
            concurrency.succeeded(texts, seconds, now)
        elif isinstance(failure, Unavailable):
            concurrency.failed(seconds, now, refused=isinstance(failure, Throttled))
        context.metrics.concurrency.set(concurrency.limit)

    return watch


def _upkeep(context: _Context, client: Redis, health: Health) -> Upkeep:
    settings = context.settings
    sources = source_streams(settings.partitions)
    period = settings.trim_period.total_seconds()
    trimming = Trimming(client, sources, window=settings.replay_window.total_seconds(), metrics=context.metrics)
    consumers = Consumers(client, sources, own=settings.consumer, idle=settings.consumer_idle.total_seconds())
    return Upkeep(
        [trimming.trim, consumers.remove_gone],
        period=period,
        clock=context.clock,
        pulse=health.pulse("upkeep", _MAX_SILENCE + period),
    )


def _pipeline(  # noqa: PLR0913, PLR0917 - what it is wired from
    context: _Context,
    store: MemoryStore,
    embeddings: MeteredEmbeddings,
    client: Redis,
    pulse: Pulse,
    concurrency: Concurrency,
) -> Pipeline:
    settings = context.settings

    async def embed(texts: Sequence[str], lane: Lane) -> Vectors:
        # Waiting for the budget is progress.
        return await embeddings.embed(texts, lane, waiting=pulse.beat)

    async def try_servers() -> None:
        await store.ensure()
        await _try_embeddings(embeddings)

    storing = Storing(
        embed,
        store.store,
        clock=context.clock,
        chance=context.chance,
        backoff=context.backoff,
        trouble=context.trouble,
        metrics=context.metrics,
        pulse=pulse,
        breaker=Breaker(BreakerPolicy()),
        texts_per_call=settings.batch_texts,
        try_servers=try_servers,
        forgetting=Forgetting(client, store),
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
        concurrency=concurrency,
        held_messages=settings.held_messages,
        held_bytes=settings.held_bytes,
        max_deliveries=settings.max_deliveries,
    )
