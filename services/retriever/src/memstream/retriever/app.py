"""The composition root: the one place that knows which parts the retriever is made of."""

import contextlib
from collections.abc import AsyncIterator
from typing import get_args

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from memstream.contracts.searches import Encoding
from memstream.retriever.admission import Turnstile
from memstream.retriever.api import BODY_MODELS, DIRECT, RetrieverParts, router
from memstream.retriever.asking.query_vectors import QueryPolicy, QueryVectors
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.ranking.calibrations import calibration_of
from memstream.retriever.searching import Searching
from memstream.retriever.settings import RetrieverSettings
from memstream.retriever.timeline.pages import Timeline
from memstream.retriever.waiting import Waiting
from memstream.runtime.access import KeyRing
from memstream.runtime.clock import Clock
from memstream.runtime.health import Health
from memstream.runtime.streams import connect, ping
from memstream.vectors.composition import open_embeddings, open_store
from memstream.vectors.tokens import token_counter
from memstream.web.application import make_application
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
    turnstile = Turnstile(settings.searches_at_once, settings.searches_waiting)
    metrics.waiting.set_function(lambda: turnstile.waiting)
    queries = QueryVectors(
        lambda texts: embeddings.embed(texts, "query", input_type="query", patience=_PATIENCE),
        QueryPolicy(settings.query_cache, settings.query_batch, settings.query_calls),
        lambda source: metrics.query_vectors.labels(source).inc(),
    )
    health = Health(clock)
    health.check("redis", lambda: ping(client))
    health.check("qdrant", store.check)
    parts = RetrieverParts(
        searching=Searching(
            store=store,
            queries=queries,
            compare=lambda texts: embeddings.embed(texts, "query", patience=_PATIENCE),
            calibration=calibration_of(settings.space.vector_name, settings.calibrations),
            waiting=Waiting(client, clock, settings.partitions),
            held=Turnstile(settings.searches_held, 0),
            turnstile=turnstile,
            timeout=settings.search_timeout.total_seconds(),
            clock=clock,
            metrics=metrics,
            model=settings.embeddings_model,
            candidates=settings.candidates,
            abstain_below=settings.abstain_below,
            counters={name: token_counter(name) for name in get_args(Encoding)},
        ),
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
        "Memstream retriever", "Answers what a user's past says.", lifespan, body_models=BODY_MODELS, direct=DIRECT
    )
    app.include_router(router)
    include_operations(app, health, registry)
    app.state.parts = parts
    return app
