"""The composition root: the one place that knows which parts the retriever is made of."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from memstream.contracts.searches import MAX_SEARCHES, Encoding
from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.api import BODY_MODELS, PLAIN_ROUTES, RetrieverParts, router
from memstream.retriever.asking import KnownSpeakers, QueryEmbedder, QueryPolicy, QueryVectors
from memstream.retriever.calculations import Calculations
from memstream.retriever.context import Contexts, token_counter
from memstream.retriever.measured_calibration import MeasuredCalibration
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.positions import PositionWaiter
from memstream.retriever.quotas import OUTAGE_SECONDS, SearchQuota
from memstream.retriever.ranking import calibration_of
from memstream.retriever.reranking import HitReranker, Pause, PausePolicy, RerankApi, Reranker
from memstream.retriever.search import Searches, SearchPolicy
from memstream.retriever.settings import RetrieverSettings
from memstream.retriever.similarity import Similarity
from memstream.retriever.timeline import Timeline
from memstream.runtime.clock import Clock
from memstream.runtime.health import Health
from memstream.streams.connections import Redis, connect
from memstream.streams.partitioning import PartitionRecord, check_redis
from memstream.streams.rates import RateLimiter
from memstream.streams.tenant_policies import TenantPolicies
from memstream.vectors.composition import open_embeddings, open_store
from memstream.vectors.embeddings import MeteredEmbeddings
from memstream.vectors.space import Vectors
from memstream.vectors.store import MemoryStore
from memstream.web.application import make_application
from memstream.web.authentication import open_credentials
from memstream.web.body_budget import BodyBudget
from memstream.web.credentials import CredentialSource
from memstream.web.operations import include_operations

_BUDGET_WAIT_SECONDS = 1.0
"""How long a question waits for its share of the provider's limits, before it is answered by keywords alone."""

_OTHER_CONNECTIONS = 8
"""To Qdrant, for everything but searches: timelines and health."""


_RERANKINGS_WAITING = 1000
"""Searches that may wait for a call of the rerank server, each no longer than its timeout."""


@dataclass(frozen=True, slots=True)
class _SharedParts:
    """What several parts share, and what is closed at the end."""

    queries: QueryVectors
    calibration: MeasuredCalibration
    calculations: Calculations
    positions: PositionWaiter

    async def aclose(self) -> None:
        await self.queries.aclose()
        await self.positions.aclose()
        self.calculations.close()


@dataclass(frozen=True, slots=True)
class _Dependencies:
    """What the retriever asks."""

    redis: Redis
    credentials: CredentialSource
    policies: TenantPolicies
    store: MemoryStore
    embeddings: MeteredEmbeddings
    reranker: Reranker | None
    clock: Clock

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return await self.embeddings.embed(texts, "query", input_type="query", max_wait_seconds=_BUDGET_WAIT_SECONDS)

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return await self.embeddings.embed(texts, "query", max_wait_seconds=_BUDGET_WAIT_SECONDS)

    async def aclose(self) -> None:
        if self.reranker is not None:
            await self.reranker.aclose()
        await self.embeddings.aclose()
        await self.store.aclose()
        await self.credentials.aclose()
        await self.redis.aclose()


def build(settings: RetrieverSettings, clock: Clock) -> FastAPI:
    """Wire the retriever. Nothing is connected before the first question.

    Raises:
        ConfigurationError: a setting can't be used.

    """
    client = connect(
        str(settings.redis_url), timeout=settings.redis_timeout.total_seconds(), ca_file=settings.redis_ca_file
    )
    policies = TenantPolicies(client, clock)
    asked = _Dependencies(
        client,
        open_credentials(settings, client, clock),
        policies,
        open_store(settings, client, policies, clock, connections=settings.searches_at_once + _OTHER_CONNECTIONS),
        open_embeddings(settings, client, clock),
        _open_reranker(settings),
        clock,
    )
    registry = CollectorRegistry()
    metrics = RetrieverMetrics(registry)
    queries = QueryVectors(
        asked.embed_queries,
        QueryPolicy(settings.query_cache, settings.query_batch, settings.query_calls),
        lambda source: metrics.query_vectors.labels(source).inc(),
    )
    health = Health(clock)
    health.check("redis", partial(check_redis, client, PartitionRecord(client, settings.partitions)))
    health.check("qdrant", asked.store.check)

    calibration = MeasuredCalibration(calibration_of(settings.space.vector_name, settings.calibrations), clock)
    positions = PositionWaiter(
        client,
        clock,
        partitions=settings.partitions,
        held=settings.searches_held,
        held_each=settings.searches_held_per_tenant,
    )
    shared = _SharedParts(queries, calibration, Calculations(), positions)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        measuring = asyncio.create_task(calibration.measure(asked.embed_queries, asked.embed_passages))
        yield
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
        await shared.aclose()
        await asked.aclose()

    app = make_application(
        "Memstream retriever",
        "Searches what a user has said.",
        lifespan,
        body_models=BODY_MODELS,
        routes=PLAIN_ROUTES,
        bodies=BodyBudget(settings.bodies_bytes, settings.bodies_wait.total_seconds()),
    )
    app.include_router(router)
    include_operations(app, health, registry)
    app.state.parts = _parts(settings, asked, shared, metrics)
    return app


def _parts(
    settings: RetrieverSettings,
    asked: _Dependencies,
    shared: _SharedParts,
    metrics: RetrieverMetrics,
) -> RetrieverParts:
    limiter = ConcurrencyLimiter(
        settings.searches_at_once, settings.searches_waiting, waiting_each=settings.searches_waiting_per_tenant
    )
    metrics.waiting.set_function(lambda: limiter.waiting)
    model, timeout = settings.embeddings_model, settings.search_timeout.total_seconds()
    searches = Searches(
        store=asked.store,
        embedder=QueryEmbedder(shared.queries.get, KnownSpeakers(asked.store.speakers, asked.clock), metrics),
        wait_for=shared.positions.wait,
        limiter=limiter,
        calibration=shared.calibration,
        policy=SearchPolicy(model, settings.candidates, timeout, settings.answer_characters),
        clock=asked.clock,
        metrics=metrics,
        calculations=shared.calculations,
        reranker=_hit_reranker(settings, asked, metrics),
    )
    contexts = Contexts(
        searches.answer,
        asked.clock,
        model=model,
        abstain_below=settings.abstain_below,
        token_counters={name: token_counter(name) for name in get_args(Encoding)},
        calculations=shared.calculations,
    )
    rates = RateLimiter(asked.redis, asked.clock, "searches_per_second", least=MAX_SEARCHES, outage=OUTAGE_SECONDS)
    return RetrieverParts(
        searches=searches,
        calculations=shared.calculations,
        contexts=contexts,
        similarity=Similarity(asked.embed_passages, limiter, asked.clock, model=model, timeout=timeout),
        timeline=Timeline(asked.store),
        ring=asked.credentials,
        quota=SearchQuota(asked.policies, rates),
        limits=settings.limits(),
        body_bytes=settings.body_bytes,
        body_values=settings.body_values,
    )


def _open_reranker(settings: RetrieverSettings) -> Reranker | None:
    if settings.rerank_url is None or settings.rerank_model is None:
        return None
    return RerankApi(
        url=str(settings.rerank_url),
        model=settings.rerank_model,
        ca_file=settings.rerank_ca_file,
        api_key=settings.rerank_api_key.get_secret_value() if settings.rerank_api_key else None,
    )


def _hit_reranker(settings: RetrieverSettings, asked: _Dependencies, metrics: RetrieverMetrics) -> HitReranker | None:
    if asked.reranker is None:
        return None
    return HitReranker(
        asked.reranker,
        hits=settings.rerank_hits,
        timeout=settings.rerank_timeout.total_seconds(),
        limiter=ConcurrencyLimiter(settings.rerank_calls, _RERANKINGS_WAITING),
        pause=Pause(PausePolicy()),
        clock=asked.clock,
        metrics=metrics,
    )
