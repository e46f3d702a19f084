"""The composition root: the only module that knows all parts of the embedder. It wires them, and runs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random

from faststream.asgi import AsgiFastStream
from prometheus_client import CollectorRegistry

from memstream.contracts import keys
from memstream.contracts.keys import Lane
from memstream.embedder.batch_processor import BatchProcessor, Servers
from memstream.embedder.batching import Batcher, BatchPolicy
from memstream.embedder.breaker import BreakerPolicy, DeadLetterGate
from memstream.embedder.chunks import Chunker
from memstream.embedder.compacted_stores import APPEND_ONLY_FILE, SNAPSHOT, QdrantFiles, RedisFile, StreamBlocks
from memstream.embedder.compactions import CompactedStore, Compactions
from memstream.embedder.concurrency import ConcurrencyController
from memstream.embedder.consumers import ConsumerCleanup
from memstream.embedder.deletions import Deletions
from memstream.embedder.dependencies import DependencyFaults
from memstream.embedder.expiry_sweep import ExpirySweep
from memstream.embedder.held_entries import HeldEntries
from memstream.embedder.intake import Intake
from memstream.embedder.jobs import prepare
from memstream.embedder.leases import Leases
from memstream.embedder.letter_notes import LetterNotes
from memstream.embedder.maintenance import Maintenance
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.operations import operation_routes
from memstream.embedder.outcomes import Outcomes
from memstream.embedder.parked_entries import ParkedEntries
from memstream.embedder.pending_list import PendingList
from memstream.embedder.pipeline import Pipeline, Stages
from memstream.embedder.probes import ServerProbes
from memstream.embedder.restore_point import RestorePoint
from memstream.embedder.retries import Retrier
from memstream.embedder.settings import EmbedderSettings
from memstream.embedder.settlement import Settlement
from memstream.embedder.stream_purge import StreamPurge
from memstream.embedder.streams import source_streams
from memstream.embedder.subscriptions import MAX_ENTRIES_PER_READ, Subscriptions
from memstream.embedder.tenant_census import TenantCensus
from memstream.embedder.tombstones import TombstoneSweep
from memstream.embedder.trimmer import StreamTrimmer
from memstream.embedder.worker import Worker
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault, MemstreamError, Throttled, Unavailable
from memstream.runtime.health import Health, Pulse
from memstream.runtime.shared_call import SharedCall
from memstream.streams.connections import Redis, connect
from memstream.streams.groups import create_groups
from memstream.streams.partitioning import PartitionRecord, check_redis
from memstream.streams.tenant_policies import TenantPolicies
from memstream.vectors.composition import open_embeddings, open_store
from memstream.vectors.embeddings.metering import MeteredEmbeddings, Watch
from memstream.vectors.space import Vectors
from memstream.vectors.store import MemoryStore

_LONGEST_START_WAIT = 2.0
"""Seconds between two tries while it starts."""

_TOKEN_BITS = 96
"""Of the tokens of attempts to store messages."""

_ABANDONED_AFTER = timedelta(days=1)
"""A reservation in Qdrant that is older was left behind by a worker that is gone. If it was not, it is made again."""

_MAX_SILENCE = 180.0
"""Seconds without a beat: longer than any call may take."""


_PARKED_ENTRIES = 100_000
"""Entries whose place is remembered while they wait for room: about 200 bytes each."""


@dataclass(frozen=True, slots=True)
class Embedder:
    """A worker, and the application that answers for its health and metrics."""

    worker: Worker
    operations: AsgiFastStream


@dataclass(frozen=True, slots=True)
class _Context:
    """What most parts need."""

    settings: EmbedderSettings
    clock: Clock
    rng: Random
    client: Redis
    faults: DependencyFaults
    metrics: EmbedderMetrics
    health: Health

    def new_token(self) -> str:
        """Return what nobody can guess and nobody gets a second time."""
        return f"{self.rng.getrandbits(_TOKEN_BITS):0{_TOKEN_BITS // 4}x}"

    def retrying(self, pulse: Pulse) -> Retrier:
        """Return how the calls of a loop are retried; their failures are counted."""

        def count(error: Unavailable | GlobalFault) -> None:
            self.metrics.failures.labels(type(error).__name__).inc()

        return Retrier(self.faults, self.clock, self.rng, Backoff(), pulse.beat, count)


def build(settings: EmbedderSettings, clock: Clock, rng: Random) -> Embedder:
    """Wire an embedder. Nothing is connected before its worker runs.

    Raises:
        ConfigurationError: settings contradict each other.

    """
    registry = CollectorRegistry()
    client, faults, health = (
        connect(str(settings.redis_url), ca_file=settings.redis_ca_file),
        DependencyFaults(),
        Health(clock),
    )
    context = _Context(settings, clock, rng, client, faults, EmbedderMetrics(registry), health)
    concurrency = ConcurrencyController(settings.concurrency)
    policies = TenantPolicies(client, clock)
    store = open_store(settings, client, policies, clock)
    embeddings = open_embeddings(settings, client, clock, _watch_calls(concurrency, context))
    record = PartitionRecord(client, settings.partitions)
    health.check("work", faults.check)
    health.check("redis", partial(check_redis, client, record))
    health.check("qdrant", store.check)
    held_entries = HeldEntries(settings.held_messages, settings.held_bytes, context.metrics.held)
    probes = ServerProbes(store, embeddings)
    pulse = health.pulse("pipeline", _MAX_SILENCE)
    parked, pending = ParkedEntries(_PARKED_ENTRIES), PendingList(client, settings.consumer)
    context.metrics.parked.set_function(lambda: len(parked))
    intake = Intake(
        *(held_entries, parked, pending, context.retrying(pulse), clock), read_entries=_read_entries(settings)
    )
    stages = _stages(context, intake, store, _servers(context, store, embeddings, probes, pulse), pulse)
    pipeline = Pipeline(stages, concurrency, clock, pulse)
    watch_pulse = health.pulse("watch", _MAX_SILENCE)

    async def prepare_streams() -> None:
        await record.note()
        await create_groups(client, settings.partitions)

    worker = Worker(
        create_groups=prepare_streams,
        preparation=[store.ensure, probes.try_embeddings],
        pipeline=pipeline,
        upkeep=[_upkeep(context, store, policies), _purging(context, store, record)],
        leases=_leases(context, pipeline, pending, held_entries, parked),
        subscriptions=_subscriptions(settings, pipeline),
        retrying=Retrier(
            *(faults, clock, rng, Backoff(maximum=_LONGEST_START_WAIT), watch_pulse.beat),
            longest_wait=_LONGEST_START_WAIT,
        ),
        faults=faults,
        pulse=watch_pulse,
        grace_seconds=settings.grace.total_seconds(),
        close=[store.aclose, embeddings.aclose, client.aclose],
    )
    return Embedder(worker, AsgiFastStream(asgi_routes=operation_routes(health, registry)))


def _watch_calls(concurrency: ConcurrencyController, context: _Context) -> Watch:
    """Return a callback through which the concurrency learns from every call to the provider."""

    def watch(texts: int, seconds: float, failure: MemstreamError | None) -> None:
        now = context.clock.monotonic()
        if failure is None:
            concurrency.succeeded(texts, seconds, now)
        elif isinstance(failure, Unavailable):
            concurrency.failed(seconds, now, refused=isinstance(failure, Throttled))
        context.metrics.concurrency.set(concurrency.limit)

    return watch


def _servers(
    context: _Context, store: MemoryStore, embeddings: MeteredEmbeddings, probes: ServerProbes, pulse: Pulse
) -> Servers:
    async def embed(texts: Sequence[str], lane: Lane) -> Vectors:
        # Waiting for the budget is progress.
        return await embeddings.embed(texts, lane, waiting=pulse.beat)

    return Servers(embed, store, SharedCall(probes.try_all), context.settings.batch_texts)


def _stages(context: _Context, intake: Intake, store: MemoryStore, servers: Servers, pulse: Pulse) -> Stages:
    settings, retrying = context.settings, context.retrying(pulse)
    chunker = Chunker(settings.chunk_tokens, settings.chunk_overlap_tokens)
    deletions = Deletions(context.client, store, retrying)
    settlement = Settlement(context.client, PendingList(context.client, settings.consumer), context.clock)
    return Stages(
        prepare=partial(prepare, chunker=chunker, max_deliveries=settings.max_deliveries, now=context.clock.now),
        intake=intake,
        batcher=Batcher(BatchPolicy(settings.batch_texts, settings.batch_bytes, settings.linger.total_seconds())),
        storing=BatchProcessor(servers, deletions, retrying, context.metrics, new_token=context.new_token),
        delete=deletions.carry_out,
        dead_letters=DeadLetterGate(BreakerPolicy(), context.faults, context.clock),
        outcomes=Outcomes(settlement, retrying, context.metrics),
    )


def _leases(
    context: _Context, pipeline: Pipeline, pending: PendingList, held_entries: HeldEntries, parked: ParkedEntries
) -> Leases:
    settings = context.settings
    return Leases(
        context.client,
        source_streams(settings.partitions),
        consumer=settings.consumer,
        claim_idle=settings.claim_idle.total_seconds(),
        offer=pipeline.offer,
        pending=pending,
        held=lambda: held_entries.entries,
        parked=lambda: list(parked),
        has_faults=lambda: not context.faults.is_empty,
        clock=context.clock,
        pulse=context.health.pulse("leases", _MAX_SILENCE),
    )


def _upkeep(context: _Context, store: MemoryStore, policies: TenantPolicies) -> Maintenance:
    settings = context.settings
    sources = source_streams(settings.partitions)
    period = settings.trim_period.total_seconds()
    window, idle = settings.replay_window.total_seconds(), settings.consumer_idle.total_seconds()
    trimming = StreamTrimmer(context.client, sources, window=window, metrics=context.metrics)
    consumers = ConsumerCleanup(context.client, sources, own=settings.consumer, idle=idle)
    pulse = context.health.pulse("upkeep", _MAX_SILENCE + period)
    sweep = ExpirySweep(store, policies, context.clock, pulse.beat)
    census = TenantCensus(store, policies, context.client, pulse.beat)
    tombstones = TombstoneSweep(context.client, sources)
    letters = LetterNotes(context.client, range(settings.partitions))

    restore_point = RestorePoint(context.client, sources)

    async def release_abandoned() -> None:
        await store.release_abandoned(context.clock.now() - _ABANDONED_AFTER)

    return Maintenance(
        [
            trimming.trim,
            consumers.remove_gone,
            sweep.remove_expired,
            census.count_stored,
            tombstones.sweep,
            letters.note,
            release_abandoned,
            partial(restore_point.note, store),
        ],
        period=period,
        clock=context.clock,
        pulse=pulse,
        faults=context.faults,
    )


def _purging(context: _Context, store: MemoryStore, record: PartitionRecord) -> Maintenance:
    settings, client = context.settings, context.client
    names = [keys.dead_letters(partition) for partition in range(settings.partitions)]
    names += [source.name for source in source_streams(settings.partitions)]
    stores: list[CompactedStore] = [
        StreamBlocks(client, names, settings.replay_window),
        RedisFile(client, APPEND_ONLY_FILE),
        RedisFile(client, SNAPSHOT),
        QdrantFiles(store.residue),
    ]
    period = settings.purge_period.total_seconds()
    pulse = context.health.pulse("purge", _MAX_SILENCE + period)
    purge = StreamPurge(
        client,
        Compactions(client, stores, context.clock),
        record,
        worker=settings.consumer,
        clock=context.clock,
        beat=pulse.beat,
    )
    return Maintenance([purge.purge], period=period, clock=context.clock, pulse=pulse, faults=context.faults)


def _subscriptions(settings: EmbedderSettings, pipeline: Pipeline) -> Subscriptions:
    sources = source_streams(settings.partitions)
    return Subscriptions(
        str(settings.redis_url),
        sources,
        ca_file=settings.redis_ca_file,
        consumer=settings.consumer,
        offer=pipeline.offer,
        read_entries=_read_entries(settings),
    )


def _read_entries(settings: EmbedderSettings) -> int:
    """Return how many entries of a stream are read at once."""
    return max(1, min(MAX_ENTRIES_PER_READ, settings.held_messages // (2 * settings.partitions)))
