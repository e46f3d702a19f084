"""An HTTP service, described as OpenAPI."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import Route
from starlette.types import ASGIApp

from memstream.contracts.problems import MEDIA_TYPE, Problem
from memstream.web import problems
from memstream.web.body_budget import BodyBudget, BodyBudgetMiddleware
from memstream.web.fast_path import Endpoints, FastPath
from memstream.web.shutdown import ShutdownResponder

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_REFERENCE = "#/components/schemas/{model}"


class _Application(FastAPI):
    """A FastAPI application with a fast path and an answer at shutdown, both inside the middleware that is added."""

    def __init__(self, fast_path: Endpoints, bodies: BodyBudget | None, **settings: Any) -> None:  # noqa: ANN401 - FastAPI's own
        super().__init__(**settings)
        self._fast_path = fast_path
        self._bodies = bodies

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application as ASGI sees it; Starlette calls this once, before the first request."""
        # FastAPI would put its error handling around added middleware, and so around the fast path, which has its own.
        added, self.user_middleware = self.user_middleware, []
        app: ASGIApp = ShutdownResponder(FastPath(super().build_middleware_stack(), self._fast_path))
        if self._bodies is not None:
            app = BodyBudgetMiddleware(app, self._bodies)
        self.user_middleware = added
        for middleware, arguments, options in reversed(added):
            app = middleware(app, *arguments, **options)
        return app


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Return a reference to a model's schema in the OpenAPI document."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def problem_answers(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a route that may answer with these errors."""
    content = {MEDIA_TYPE: {"schema": reference(Problem)}}
    return {status: {"description": status.phrase, "content": content} for status in statuses}


PROBLEM_ANSWERS = problem_answers(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""Error responses of every route that needs a key and reads a body."""


def described_body(schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the OpenAPI request body of a route that reads it itself, from schemas by media type."""
    return {"requestBody": {"required": True, "content": {media: {"schema": s} for media, s in schemas.items()}}}


def make_application(  # noqa: PLR0913 - named arguments, each set in one place
    title: str,
    description: str,
    lifespan: Lifespan,
    *,
    body_models: Sequence[type[BaseModel]] = (),
    routes: Sequence[Route] = (),
    fast_path: Endpoints = MappingProxyType({}),
    bodies: BodyBudget | None = None,
) -> FastAPI:
    """Return an application whose error responses are problem documents.

    It serves no documentation: that is a file (`make docs`). `body_models` are the models of bodies that endpoints read
    themselves; the OpenAPI document includes their schemas. `routes` are plain routes of Starlette, which are
    tried first and skip FastAPI's handling of dependencies; the endpoints of `fast_path` skip routing as a whole. Both
    need a FastAPI route as well, which documents them. Unfinished bodies are held within `bodies`, if it is given.

    Middleware that is added to the application (`add_middleware`), for example for tracing, sees every request and
    every response: those on the fast path, errors, and the 503 at shutdown.
    """
    app = _Application(
        fast_path,
        bodies,
        routes=list(routes),
        title=title,
        description=description,
        lifespan=lifespan,
        openapi_url=None,
        # FastAPI's own telemetry looks into the environment at every request, and records the texts of exceptions.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        # A redirect is no problem document, and leads wherever the client's Host header says.
        redirect_slashes=False,
    )
    problems.install(app)

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app, body_models)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign] # FastAPI's documented way to extend the description
    return app


def _describe(app: FastAPI, body_models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    document = get_openapi(title=app.title, version="1", description=app.description, routes=app.routes)
    components = document.setdefault("components", {})
    models: list[type[BaseModel]] = [*body_models, Problem]
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    components["schemas"] = dict(sorted({**definitions.get("$defs", {}), **components.get("schemas", {})}.items()))
    return document
