"""The composition root: the one place that knows which parts the retriever is made of."""

import contextlib
from collections.abc import AsyncIterator
from typing import get_args

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from memstream.contracts.searches import Encoding
from memstream.retriever.api import BODY_MODELS, RetrieverParts, router
from memstream.retriever.calibrations import calibration_of
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.searching import Searching
from memstream.retriever.settings import RetrieverSettings
from memstream.retriever.timeline import Timeline
from memstream.retriever.waiting import Waiting
from memstream.runtime.access import KeyRing
from memstream.runtime.clock import Clock
from memstream.runtime.health import Health
from memstream.runtime.streams import connect, ping
from memstream.vectors.servers import connect_servers
from memstream.vectors.tokens import token_counter
from memstream.web.application import make_application
from memstream.web.operations import include_operations


def build(settings: RetrieverSettings, clock: Clock) -> FastAPI:
    """Wire the retriever. Nothing is connected before the first question.

    Raises:
        ConfigurationError: a setting can't be used.

    """
    client = connect(str(settings.redis_url), timeout=settings.redis_timeout.total_seconds())
    collection, embeddings = connect_servers(settings, client, clock)
    registry = CollectorRegistry()
    health = Health(clock)
    health.check("redis", lambda: ping(client))
    health.check("qdrant", collection.check)
    parts = RetrieverParts(
        searching=Searching(
            collection=collection,
            embeddings=embeddings,
            calibration=calibration_of(settings.space.vector_name, settings.calibrations),
            waiting=Waiting(client, clock, settings.partitions),
            clock=clock,
            metrics=RetrieverMetrics(registry),
            model=settings.embeddings_model,
            candidates=settings.candidates,
            abstain_below=settings.abstain_below,
            counters={name: token_counter(name) for name in get_args(Encoding)},
        ),
        timeline=Timeline(collection),
        ring=KeyRing(client, clock),
        limits=settings.limits(),
        body_bytes=settings.body_bytes,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await embeddings.aclose()
        await collection.aclose()
        await client.aclose()

    app = make_application("Memstream retriever", "Answers what a user's past says.", lifespan, body_models=BODY_MODELS)
    app.include_router(router)
    include_operations(app, health, registry)
    app.state.parts = parts
    return app
