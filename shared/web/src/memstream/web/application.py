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
from starlette.types import Receive, Scope, Send

from memstream.contracts.problems import MEDIA_TYPE, Problem
from memstream.web import problems
from memstream.web.direct import Direct, Endpoints
from memstream.web.farewell import Farewell

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_REFERENCE = "#/components/schemas/{model}"
_OPEN_TAG = "operations"


class _Application(FastAPI):
    """An application with a short way to some routes, before all that the framework does about a request."""

    def __init__(self, direct: Endpoints, **settings: Any) -> None:  # noqa: ANN401 - FastAPI's own
        super().__init__(**settings)
        self._entrance = Farewell(Direct(super().__call__, direct))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        scope["app"] = self
        await self._entrance(scope, receive, send)


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Name a model's schema within the description."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def problem_answers(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe errors that a route may answer with."""
    content = {MEDIA_TYPE: {"schema": reference(Problem)}}
    return {status: {"description": status.phrase, "content": content} for status in statuses}


PROBLEM_ANSWERS = problem_answers(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""The errors that any route with a key and a body may answer with."""


def described_body(schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Describe a body that a route reads itself, to hold it to its limits while it arrives: schemas by media type."""
    return {"requestBody": {"required": True, "content": {media: {"schema": s} for media, s in schemas.items()}}}


def make_application(
    title: str,
    description: str,
    lifespan: Lifespan,
    *,
    body_models: Sequence[type[BaseModel]] = (),
    direct: Endpoints = MappingProxyType({}),
) -> FastAPI:
    """Make an application whose every error is a problem. It serves no documentation: that is a file (`make docs`).

    `body_models` are models that its routes read themselves; the description holds their schemas too. `direct` are
    routes that requests reach by the short way.
    """
    app = _Application(
        direct,
        title=title,
        description=description,
        lifespan=lifespan,
        openapi_url=None,
        # A redirect would be no problem, and would lead wherever the caller's Host header says.
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
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for operations in document["paths"].values():
        for operation in operations.values():
            if _OPEN_TAG not in operation.get("tags", []):
                operation["security"] = [{"key": []}]
    return document
