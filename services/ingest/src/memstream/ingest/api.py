"""The HTTP routes of ingest: they decode, call once and respond."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from memstream.contracts import ids
from memstream.contracts.ids import Id
from memstream.contracts.keys import LANES, Lane
from memstream.contracts.messages import (
    Accepted,
    BatchIn,
    BatchOut,
    Erasure,
    ErasureAccepted,
    MessageIn,
    MessagePut,
    MessageState,
)
from memstream.ingest import answers
from memstream.ingest.admission import Write
from memstream.ingest.allowances import Allowance
from memstream.ingest.erasures import ErasureRequest, Erasures
from memstream.ingest.intake import Intake
from memstream.ingest.load_monitor import LoadMonitor
from memstream.ingest.stream_log import StreamLog
from memstream.ingest.tenant_quotas import Quotas
from memstream.runtime.errors import Invalid, Overloaded
from memstream.web.application import PROBLEM_ANSWERS, described_body, problem_answers, reference
from memstream.web.bearer import INGEST, DeleteCaller, IngestCaller
from memstream.web.bodies import JSON, media_type, read_body, read_json, stream_body, unsupported_media
from memstream.web.credentials import Credential, CredentialSource
from memstream.web.fast_path import Endpoints
from memstream.web.problems import OVER_QUOTA_SECONDS

BODY_MODELS = (MessageIn, MessagePut, BatchIn)
"""Models that are referenced from described bodies only; the OpenAPI file needs their schemas too."""

_SINGLE_BODY_BYTES = 1024 * 1024
"""Larger than any message within the limits, even with every character escaped."""

NDJSON = "application/x-ndjson"
_LANE_DESCRIPTION = "A JSON body may name it instead, but not another one."

_LANE_PARAMETER = {
    "name": "lane",
    "in": "query",
    "required": False,
    "schema": {
        "enum": list(LANES),
        "type": "string",
        "description": _LANE_DESCRIPTION,
        "default": "live",
        "title": "Lane",
    },
    "description": _LANE_DESCRIPTION,
}


@dataclass(frozen=True, slots=True)
class IngestParts:
    """The objects that the routes call."""

    intake: Intake
    quotas: Quotas
    pressure: LoadMonitor
    log: StreamLog
    erasures: Erasures
    allowance: Allowance
    """Of erasures of users."""
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    ring: CredentialSource
    partitions: int


def _parts(request: Request) -> IngestParts:
    return cast("IngestParts", request.app.state.parts)


message_routes = APIRouter(prefix="/v1/messages", tags=["messages"], responses=PROBLEM_ANSWERS)
erasure_routes = APIRouter(prefix="/v1", tags=["erasures"], responses=PROBLEM_ANSWERS)
"""The routes; they read `IngestParts` from the application's state."""


@message_routes.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Accepted,
    summary="Post a message",
    dependencies=[INGEST.declared],
    openapi_extra=described_body({JSON: reference(MessageIn)}),
)
async def post_message(request: Request) -> Response:
    """Respond once the message is durable on the stream. It becomes searchable a moment later."""
    return await _take(request, replaces=False)


@message_routes.put(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Accepted,
    summary="Put a new version of a message",
    dependencies=[INGEST.declared],
    openapi_extra=described_body({JSON: reference(MessagePut)}),
)
async def put_message(request: Request) -> Response:
    """Respond once the version is durable on the stream. A moment later it replaces the stored one as a whole.

    When the message was recorded is kept, and so is when it was said if the body does not name it. A message that was
    deleted is not accepted again.
    """
    return await _take(request, replaces=True)


async def _take(request: Request, *, replaces: bool) -> Response:
    caller = await INGEST(request)
    parts = _parts(request)
    body = await read_json(request, _SINGLE_BODY_BYTES)
    parts.pressure.admit()
    taken = await parts.intake.take(body, caller, replaces=replaces)
    return Response(answers.accepted(taken), HTTPStatus.ACCEPTED, media_type=JSON)


@message_routes.post(
    "/batch",
    response_model=BatchOut,
    summary="Post a batch of messages",
    dependencies=[INGEST.declared],
    responses=problem_answers(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    openapi_extra={"parameters": [_LANE_PARAMETER]}
    | described_body({NDJSON: {"type": "string", "description": "One MessageIn a line."}, JSON: reference(BatchIn)}),
)
async def post_batch(request: Request) -> Response:
    """Respond once all accepted messages are durable. A rejected message does not affect the others."""
    caller = await INGEST(request)
    parts = _parts(request)
    lane = _lane(request)
    media = media_type(request)
    parts.pressure.admit()
    limit = parts.intake.limits.batch_bytes
    if media == NDJSON:
        outcomes = await parts.intake.take_lines(stream_body(request, limit), caller, lane or "live")
    elif media == JSON:
        outcomes = await parts.intake.take_json(await read_body(request, limit), caller, lane)
    else:
        raise unsupported_media(NDJSON, JSON)
    wait = answers.retry_after(outcomes)
    if wait is not None:
        await asyncio.sleep(OVER_QUOTA_SECONDS)
    return Response(
        answers.batch(outcomes), headers=None if wait is None else {"Retry-After": str(wait)}, media_type=JSON
    )


def _lane(request: Request) -> Lane | None:
    """Return the lane from the query; None if it names none.

    Raises:
        Invalid: there is no such lane, or two are given.

    """
    given = request.query_params.getlist("lane") if request.scope["query_string"] else []
    if not given:
        return None
    if len(set(given)) > 1:
        raise Invalid("lane", "is given twice, and differently")
    for lane in LANES:
        if given[0] == lane:
            return lane
    raise Invalid("lane", f"Input should be {' or '.join(map(repr, LANES))}")


FAST_PATH: Endpoints = {("POST", "/v1/messages"): post_message, ("POST", "/v1/messages/batch"): post_batch}
"""The endpoints that devices call all the time."""


@message_routes.get("/state", summary="Get the state of a message", responses=problem_answers(HTTPStatus.NOT_FOUND))
async def get_state(
    request: Request, caller: IngestCaller, user_id: Annotated[Id, Query()], message_id: Annotated[Id, Query()]
) -> MessageState:
    """Return the state of a message that was posted within the deduplication window."""
    caller.check_user(user_id)
    parts = _parts(request)
    fate = await parts.log.look_up(
        ids.partition(caller.tenant, user_id, parts.partitions),
        ids.message_key(caller.tenant, user_id, message_id),
        ids.owner_key(caller.tenant, user_id),
    )
    if fate is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such message, or it was posted before the deduplication window")
    return MessageState(
        message_id=message_id, state=fate.state_at(parts.now()), position=str(fate.position), reason=fate.reason
    )


@erasure_routes.delete("/messages", status_code=HTTPStatus.ACCEPTED, summary="Delete a message")
async def delete_message(
    request: Request, caller: DeleteCaller, user_id: Annotated[Id, Query()], message_id: Annotated[Id, Query()]
) -> ErasureAccepted:
    """Respond once the deletion is durable. Nothing restores the message; a moment later no search finds it."""
    _refuse_other_parameters(request, "user_id", "message_id")
    return await _erase(request, caller, user_id, message_id)


@erasure_routes.delete("/users", status_code=HTTPStatus.ACCEPTED, summary="Erase a user's messages")
async def delete_user(request: Request, caller: DeleteCaller, user_id: Annotated[Id, Query()]) -> ErasureAccepted:
    """Respond once the erasure is durable. It covers all messages posted until now, and none posted later."""
    _refuse_other_parameters(request, "user_id")
    return await _erase(request, caller, user_id, None)


def _refuse_other_parameters(request: Request, *names: str) -> None:
    """Refuse unknown parameters: ignoring a misspelt one would erase more than was asked for.

    Raises:
        Invalid: a parameter is unknown, or given more than once.

    """
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in names:
            raise Invalid(name, "is not a parameter of this request")
        if given.count(name) > 1:
            raise Invalid(name, "is given more than once")


async def _erase(request: Request, caller: Credential, user_id: str, message_id: str | None) -> ErasureAccepted:
    caller.check_user(user_id)
    parts = _parts(request)
    parts.pressure.admit(Write.DELETION)
    await parts.quotas.admit_deletion(caller.tenant)
    if message_id is None:
        parts.allowance.spend(caller.tenant)
    request_to_erase = ErasureRequest(caller.tenant, user_id, message_id, parts.now())
    takes_unseen = parts.pressure.takes(Write.UNSEEN_DELETION)
    erasure_id = await parts.erasures.request(request_to_erase, parts.new_id(), takes_unseen=takes_unseen)
    if erasure_id is None:
        parts.pressure.admit(Write.UNSEEN_DELETION)
        # There is room again.
        raise Overloaded("deletions of unknown messages are refused for a moment")
    return ErasureAccepted(erasure_id=erasure_id)


@erasure_routes.get(
    "/erasures/{erasure_id}",
    summary="Get the receipt of a deletion or an erasure",
    responses=problem_answers(HTTPStatus.NOT_FOUND),
)
async def get_erasure(request: Request, caller: DeleteCaller, erasure_id: Id) -> Erasure:
    """Return the receipt, as long as it is kept."""
    receipt = await _parts(request).erasures.receipt(erasure_id, caller.tenant, caller.user_id)
    if receipt is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such deletion or erasure, or its receipt is no longer kept")
    return receipt
