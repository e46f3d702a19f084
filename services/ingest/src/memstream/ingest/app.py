"""The composition root of ingest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from memstream.contracts import ids
from memstream.ingest.admin_api import ADMIN_BODY_MODELS, AdminParts, admin_routes
from memstream.ingest.admission import Watermarks
from memstream.ingest.allowances import Allowance
from memstream.ingest.api import BODY_MODELS, FAST_PATH, IngestParts, erasure_routes, message_routes
from memstream.ingest.dead_letters import DeadLetters
from memstream.ingest.durability import Durability
from memstream.ingest.erasures import Erasures
from memstream.ingest.group_commit import Amount, GroupCommit
from memstream.ingest.intake import Intake
from memstream.ingest.key_api import KEY_BODY_MODELS, KeyParts, key_routes
from memstream.ingest.key_registry import KeyRegistry
from memstream.ingest.load_monitor import LoadMonitor
from memstream.ingest.metrics import IngestMetrics
from memstream.ingest.recorder import Recorder, size_of
from memstream.ingest.settings import MIB, IngestSettings
from memstream.ingest.stream_log import StreamLog
from memstream.ingest.tenant_quotas import LEAST_WRITES, TenantQuotas, WriteRates
from memstream.ingest.tenant_usage import TenantUsage
from memstream.ingest.tenants_api import TENANTS_BODY_MODELS, TenantsParts, tenants_routes
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.health import Health
from memstream.runtime.turns import Turns
from memstream.streams.connections import connect
from memstream.streams.partitioning import PartitionRecord
from memstream.streams.rates import RateLimiter
from memstream.streams.tenant_policies import TenantPolicies
from memstream.web.application import make_application
from memstream.web.authentication import open_credentials
from memstream.web.body_budget import BodyBudget
from memstream.web.operations import include_operations

_COMMIT = Amount(1_000, 8 * MIB)
_COMMIT_WAITING = Amount(20_000, 64 * MIB)
_DAY_SECONDS = 24 * 3600.0
_WATCH_SECONDS = 1.0
_WATCH_SILENCE = 30.0
"""Seconds that a reading of Redis may take, in addition to a few timeouts."""


def build(settings: IngestSettings, clock: Clock, rng: Random) -> FastAPI:
    """Return the application of ingest. Nothing is connected before it starts.

    Raises:
        ConfigurationError: a setting is not usable.

    """
    timeout = settings.append_timeout.total_seconds()
    client = connect(str(settings.redis_url), timeout=timeout, ca_file=settings.redis_ca_file)
    durability = Durability(
        client,
        require_fsync=settings.durability != "memory",
        timeout=timeout,
        replicas=settings.replicas if settings.durability == "replica" else 0,
    )
    record = PartitionRecord(client, settings.partitions)
    log = StreamLog(client, durability, record, dedup_seconds=_whole_seconds(settings.dedup_window))
    erasures = Erasures(client, durability, record, lifetime=_whole_seconds(settings.erasure_window))
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry)
    watermarks = Watermarks(
        settings.backlog_limit,
        settings.memory_limit,
        settings.reading_lifetime.total_seconds(),
        settings.deletion_memory_limit,
        settings.unseen_memory_limit,
    )
    health = Health(clock)
    pressure = LoadMonitor(
        log,
        durability,
        watermarks,
        clock,
        metrics,
        pulse=health.pulse("watch", _WATCH_SILENCE + 4 * timeout),
    )
    health.check("redis", pressure.check)
    commits = GroupCommit(log.append, size_of, limit=_COMMIT, waiting_limit=_COMMIT_WAITING)
    recorder = Recorder(settings.partitions, clock.now, rng)
    credentials = open_credentials(settings, client, clock)
    usage = TenantUsage(client, clock, partitions=settings.partitions)
    quotas = TenantQuotas(
        TenantPolicies(client, clock),
        WriteRates(
            messages=RateLimiter(client, clock, "messages_per_second", least=LEAST_WRITES),
            deletions=RateLimiter(client, clock, "deletions_per_second", least=LEAST_WRITES),
        ),
        usage,
        backlog_limit=settings.backlog_limit,
        crowd=pressure.crowd,
    )
    parts = IngestParts(
        intake=Intake(recorder, commits, settings.limits(), clock.now, metrics, Turns(clock), quotas),
        quotas=quotas,
        pressure=pressure,
        log=log,
        erasures=erasures,
        allowance=Allowance(settings.erasures_per_day, _DAY_SECONDS, clock, name="erasures_per_day"),
        new_id=lambda: ids.new_message_id(clock.now(), rng),
        now=clock.now,
        ring=credentials,
        partitions=settings.partitions,
    )
    letters = DeadLetters(client, durability, record, dedup_seconds=_whole_seconds(settings.dedup_window))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(pressure.watch(_WATCH_SECONDS, Backoff(maximum=2.0), rng)),
            asyncio.create_task(usage.publish_periodically()),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await credentials.aclose()
        await client.aclose()

    app = make_application(
        "Memstream ingest",
        "Accepts messages, and the deletion of messages and users.",
        lifespan,
        body_models=BODY_MODELS + ADMIN_BODY_MODELS + KEY_BODY_MODELS + TENANTS_BODY_MODELS,
        fast_path=FAST_PATH,
        bodies=BodyBudget(settings.bodies_bytes, settings.bodies_wait.total_seconds()),
    )
    app.include_router(message_routes)
    app.include_router(erasure_routes)
    app.include_router(admin_routes)
    app.include_router(key_routes)
    app.include_router(tenants_routes)
    include_operations(app, health, registry)
    app.state.parts = parts
    app.state.admin_parts = AdminParts(letters, pressure, settings.partitions)
    app.state.key_parts = KeyParts(KeyRegistry(client, clock.now, parts.new_id, durability.execute))
    app.state.tenants_parts = TenantsParts(client)
    return app


def _whole_seconds(span: timedelta) -> int:
    return max(1, int(span.total_seconds()))
