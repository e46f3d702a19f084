"""The composition root: the one place that knows which parts the retriever is made of."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import get_args

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from memstream.contracts.searches import Encoding
from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.api import BODY_MODELS, PLAIN_ROUTES, RetrieverParts, router
from memstream.retriever.asking import KnownSpeakers, QueryEmbedder, QueryPolicy, QueryVectors
from memstream.retriever.context import Contexts
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.positions import PositionWaiter
from memstream.retriever.ranking import calibration_of
from memstream.retriever.search import Searches, SearchPolicy
from memstream.retriever.settings import RetrieverSettings
from memstream.retriever.similarity import Similarity
from memstream.retriever.timeline import Timeline
from memstream.runtime.clock import Clock
from memstream.runtime.health import Health
from memstream.streams.connections import connect, ping
from memstream.vectors.composition import open_embeddings, open_store
from memstream.vectors.space import Vectors
from memstream.vectors.tokens import token_counter
from memstream.web.application import make_application
from memstream.web.credentials import KeyRing
from memstream.web.operations import include_operations

_PATIENCE = 1.0
"""Seconds that a question waits for its share of the provider's limits, before it is answered by keywords alone."""

_OTHER_CONNECTIONS = 8
"""To Qdrant, for what is no search: timelines and health."""


def build(settings: RetrieverSettings, clock: Clock) -> FastAPI:
    """Wire the retriever. Nothing is connected before the first question.

    Raises:
        ConfigurationError: a setting can't be used.

    """
    client = connect(str(settings.redis_url), timeout=settings.redis_timeout.total_seconds())
    store = open_store(settings, connections=settings.searches_at_once + _OTHER_CONNECTIONS)
    embeddings = open_embeddings(settings, client, clock)
    registry = CollectorRegistry()
    metrics = RetrieverMetrics(registry)
    limiter = ConcurrencyLimiter(settings.searches_at_once, settings.searches_waiting)
    metrics.waiting.set_function(lambda: limiter.waiting)
    timeout = settings.search_timeout.total_seconds()

    async def embed_queries(texts: Sequence[str]) -> Vectors:
        return await embeddings.embed(texts, "query", input_type="query", max_wait_seconds=_PATIENCE)

    async def embed_texts(texts: Sequence[str]) -> Vectors:
        return await embeddings.embed(texts, "query", max_wait_seconds=_PATIENCE)

    queries = QueryVectors(
        embed_queries,
        QueryPolicy(settings.query_cache, settings.query_batch, settings.query_calls),
        lambda source: metrics.query_vectors.labels(source).inc(),
    )
    positions = PositionWaiter(
        client, clock, partitions=settings.partitions, limiter=ConcurrencyLimiter(settings.searches_held, 0)
    )
    searches = Searches(
        store=store,
        embedder=QueryEmbedder(queries.get, KnownSpeakers(store.speakers, clock), metrics),
        wait_for=positions.wait,
        limiter=limiter,
        calibration=calibration_of(settings.space.vector_name, settings.calibrations),
        policy=SearchPolicy(settings.embeddings_model, settings.candidates, timeout),
        clock=clock,
        metrics=metrics,
    )
    contexts = Contexts(
        searches.answer,
        clock,
        model=settings.embeddings_model,
        abstain_below=settings.abstain_below,
        token_counters={name: token_counter(name) for name in get_args(Encoding)},
    )
    health = Health(clock)
    health.check("redis", lambda: ping(client))
    health.check("qdrant", store.check)
    parts = RetrieverParts(
        searches=searches,
        contexts=contexts,
        similarity=Similarity(embed_texts, limiter, clock, model=settings.embeddings_model, timeout=timeout),
        timeline=Timeline(store),
        ring=KeyRing(client, clock),
        limits=settings.limits(),
        body_bytes=settings.body_bytes,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await queries.aclose()
        await embeddings.aclose()
        await store.aclose()
        await client.aclose()

    app = make_application(
        "Memstream retriever",
        "Answers what a user's past says.",
        lifespan,
        body_models=BODY_MODELS,
        routes=PLAIN_ROUTES,
    )
    app.include_router(router)
    include_operations(app, health, registry)
    app.state.parts = parts
    return app
