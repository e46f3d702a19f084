"""The HTTP routes that manage API keys: they decode, call once and respond. They need an admin key."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import StringConstraints
from starlette.exceptions import HTTPException

from memstream.contracts.api_keys import (
    AUDIT_CURSOR_PATTERN,
    CURSOR_PATTERN,
    MAX_KEYS,
    ApiKeyCreated,
    ApiKeyIn,
    ApiKeyPage,
    AuditPage,
    RotationIn,
)
from memstream.contracts.ids import Id, Tenant
from memstream.ingest.key_registry import KeyRegistry
from memstream.web.application import PROBLEM_ANSWERS, described_body, problem_answers, reference
from memstream.web.bearer import AdminCaller
from memstream.web.bodies import JSON, read_json
from memstream.web.credentials import Credential

KEY_BODY_MODELS = (ApiKeyIn, RotationIn)
"""Models that are referenced from described bodies only."""

_BODY_BYTES = 16 * 1024
_PAGE = 100
_NO_SUCH_KEY = "no such key; it may have expired, or be revoked"


@dataclass(frozen=True, slots=True)
class KeyParts:
    """The objects that the routes call."""

    registry: KeyRegistry


def _registry(request: Request) -> KeyRegistry:
    return cast("KeyParts", request.app.state.key_parts).registry


key_routes = APIRouter(prefix="/v1/admin/keys", tags=["admin"], responses=PROBLEM_ANSWERS)
"""The routes; they read `KeyParts` from the application's state."""

Limit = Annotated[int, Query(ge=1, le=MAX_KEYS)]


@key_routes.post(
    "",
    status_code=HTTPStatus.CREATED,
    response_model=ApiKeyCreated,
    summary="Create a key",
    responses=problem_answers(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    openapi_extra=described_body({JSON: reference(ApiKeyIn)}),
)
async def create_key(request: Request, caller: AdminCaller) -> Response:
    """Respond with the key. It is not kept and can't be shown again; if the answer is lost, revoke it by its id."""
    wanted = ApiKeyIn.model_validate_json(await read_json(request, _BODY_BYTES))
    return _shown_once(await _registry(request).create(wanted, _actor(caller)))


@key_routes.get("", summary="List keys")
async def list_keys(
    request: Request,
    _caller: AdminCaller,
    tenant: Annotated[Tenant | None, Query()] = None,
    cursor: Annotated[
        str | None,
        StringConstraints(pattern=CURSOR_PATTERN),
        Query(description="The `cursor` of the previous page."),
    ] = None,
    limit: Limit = _PAGE,
) -> ApiKeyPage:
    """Return the keys that work and have an id, the newest last."""
    return await _registry(request).page(tenant, cursor, limit)


@key_routes.get("/audit", summary="List what was done with keys")
async def list_audit(
    request: Request,
    _caller: AdminCaller,
    cursor: Annotated[
        str | None,
        StringConstraints(pattern=AUDIT_CURSOR_PATTERN),
        Query(description="The `cursor` of the previous page."),
    ] = None,
    limit: Limit = _PAGE,
) -> AuditPage:
    """Return who created, rotated and revoked which keys, the newest first. The oldest entries are not kept."""
    return await _registry(request).audit(cursor, limit)


@key_routes.post(
    "/{key_id}/rotate",
    status_code=HTTPStatus.CREATED,
    response_model=ApiKeyCreated,
    summary="Rotate a key",
    responses=problem_answers(HTTPStatus.NOT_FOUND, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    openapi_extra=described_body({JSON: reference(RotationIn)}),
)
async def rotate_key(request: Request, caller: AdminCaller, key_id: Id) -> Response:
    """Respond with a key that can do the same. The old one goes on working until the overlap is over."""
    wanted = RotationIn.model_validate_json(await read_json(request, _BODY_BYTES))
    made = await _registry(request).rotate(key_id, wanted, _actor(caller))
    if made is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, _NO_SUCH_KEY)
    return _shown_once(made)


@key_routes.delete(
    "/{key_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Revoke a key",
    responses=problem_answers(HTTPStatus.NOT_FOUND),
)
async def revoke_key(request: Request, caller: AdminCaller, key_id: Id) -> None:
    """Respond once the key is removed. Within 2 seconds no replica accepts it."""
    if not await _registry(request).revoke(key_id, _actor(caller)):
        raise HTTPException(HTTPStatus.NOT_FOUND, _NO_SUCH_KEY)


def _actor(caller: Credential) -> str:
    return caller.key_id or caller.tenant


def _shown_once(made: ApiKeyCreated) -> Response:
    return Response(made.model_dump_json(), HTTPStatus.CREATED, {"Cache-Control": "no-store"}, JSON)
