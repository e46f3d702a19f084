"""Health and metrics: the routes that every HTTP service has for its operators."""

from http import HTTPStatus

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry

from memstream.runtime.health import Health, Verdict
from memstream.runtime.telemetry import METRICS_MEDIA_TYPE, render


class _MetricsResponse(Response):
    """Metrics in Prometheus' text format. FastAPI takes the documented content type from the class."""

    media_type = METRICS_MEDIA_TYPE


def include_operations(app: FastAPI, health: Health, registry: CollectorRegistry) -> None:
    """Add the routes for health and metrics, which need no key."""
    router = APIRouter(tags=["operations"])

    @router.get("/health/live", summary="Does this process make progress?")
    async def live() -> Response:
        return _answer(health.live())

    @router.get("/health/ready", summary="Can it serve?")
    async def ready() -> Response:
        return _answer(await health.ready())

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=_MetricsResponse)
    async def metrics() -> Response:
        return _MetricsResponse(render(registry))

    app.include_router(router)


def _answer(verdict: Verdict) -> Response:
    status = HTTPStatus.OK if verdict.healthy else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse({"status": "ok" if verdict.healthy else "unwell", "parts": verdict.parts}, status)
