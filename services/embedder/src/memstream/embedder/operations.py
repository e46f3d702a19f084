"""Health and metrics over HTTP, and nothing else: above all no page that publishes to a stream."""

import json

from faststream.asgi import AsgiResponse, get
from faststream.asgi.types import ASGIApp, Scope
from prometheus_client import CollectorRegistry

from memstream.runtime.health import Health, Verdict
from memstream.runtime.telemetry import METRICS_MEDIA_TYPE, render


def operation_routes(health: Health, registry: CollectorRegistry) -> list[tuple[str, ASGIApp]]:
    """Return the routes `/health/live`, `/health/ready` and `/metrics`."""

    @get
    async def live(_: Scope) -> AsgiResponse:
        return _answer(health.live())

    @get
    async def ready(_: Scope) -> AsgiResponse:
        return _answer(await health.ready())

    @get
    async def metrics(_: Scope) -> AsgiResponse:
        return AsgiResponse(render(registry), 200, {"content-type": METRICS_MEDIA_TYPE})

    return [("/health/live", live), ("/health/ready", ready), ("/metrics", metrics)]


def _answer(verdict: Verdict) -> AsgiResponse:
    body = {"status": "ok" if verdict.healthy else "unwell", "parts": verdict.parts}
    return AsgiResponse(
        json.dumps(body).encode(), 200 if verdict.healthy else 503, {"content-type": "application/json"}
    )
