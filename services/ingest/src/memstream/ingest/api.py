"""The edge: routes that decode, call once and answer."""

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
    MessageState,
)
from memstream.ingest import answers
from memstream.ingest.erasing import Erasing
from memstream.ingest.erasing import Request as ErasureRequest
from memstream.ingest.intake import Intake
from memstream.ingest.pressure import Pressure
from memstream.ingest.stream_log import StreamLog
from memstream.runtime.access import Credential, KeyRing
from memstream.runtime.errors import Invalid
from memstream.web.application import PROBLEM_ANSWERS, described_body, problem_answers, reference
from memstream.web.bearer import Caller, caller_of
from memstream.web.bodies import JSON, media_type, read_body, read_json, stream_body, unsupported_media
from memstream.web.fast_path import Endpoints

BODY_MODELS = (MessageIn, BatchIn)
"""Models that only the descriptions of bodies name; the OpenAPI file needs their schemas too."""

_SINGLE_BODY_BYTES = 1024 * 1024
"""A message within its limits is smaller, even with every character escaped."""

NDJSON = "application/x-ndjson"


_LANE_PARAMETER = {
    "name": "lane",
    "in": "query",
    "required": False,
    "schema": {
        "enum": list(LANES),
        "type": "string",
        "description": "With NDJSON.",
        "default": "live",
        "title": "Lane",
    },
    "description": "With NDJSON.",
}


@dataclass(frozen=True, slots=True)
class IngestParts:
    """What the routes call."""

    intake: Intake
    pressure: Pressure
    log: StreamLog
    erasing: Erasing
    new_name: Callable[[], str]
    now: Callable[[], datetime]
    ring: KeyRing
    partitions: int


def _parts(request: Request) -> IngestParts:
    return cast("IngestParts", request.app.state.parts)


router = APIRouter(prefix="/v1/messages", tags=["messages"], responses=PROBLEM_ANSWERS)
erasures = APIRouter(prefix="/v1", tags=["erasures"], responses=PROBLEM_ANSWERS)
"""The routes; `IngestParts` are taken from the application's state."""


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Accepted,
    summary="Remember a message",
    openapi_extra=described_body({JSON: reference(MessageIn)}),
)
async def post_message(request: Request) -> Response:
    """Answer once the message is on the stream and on disk. It is searchable a moment later."""
    caller = await caller_of(request)
    parts = _parts(request)
    body = await read_json(request, _SINGLE_BODY_BYTES)
    parts.pressure.admit()
    taken = await parts.intake.take(body, caller.tenant)
    return Response(answers.accepted(taken), HTTPStatus.ACCEPTED, media_type=JSON)


@router.post(
    "/batch",
    response_model=BatchOut,
    summary="Remember many messages",
    responses=problem_answers(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    openapi_extra={"parameters": [_LANE_PARAMETER]}
    | described_body({NDJSON: {"type": "string", "description": "One MessageIn a line."}, JSON: reference(BatchIn)}),
)
async def post_batch(request: Request) -> Response:
    """Answer once every message that was taken is on disk. A bad one never spoils the others."""
    caller = await caller_of(request)
    parts = _parts(request)
    lane = _lane(request)
    media = media_type(request)
    parts.pressure.admit()
    limit = parts.intake.limits.batch_bytes
    if media == NDJSON:
        outcomes = await parts.intake.take_lines(stream_body(request, limit), caller.tenant, lane)
    elif media == JSON:
        batch = BatchIn.model_validate_json(await read_body(request, limit))
        outcomes = await parts.intake.take_list(batch.messages, caller.tenant, batch.lane)
    else:
        raise unsupported_media(NDJSON, JSON)
    return Response(answers.batch(outcomes), media_type=JSON)


def _lane(request: Request) -> Lane:
    """Read the lane from the query.

    Raises:
        Invalid: it is none.

    """
    given = request.query_params.get("lane", "live") if request.scope["query_string"] else "live"
    for lane in LANES:
        if given == lane:
            return lane
    raise Invalid("lane", f"Input should be {' or '.join(map(repr, LANES))}")


FAST_PATH: Endpoints = {("POST", "/v1/messages"): post_message, ("POST", "/v1/messages/batch"): post_batch}
"""The endpoints that devices call all the time."""


@router.get("/state", summary="Where is a message?", responses=problem_answers(HTTPStatus.NOT_FOUND))
async def get_state(
    request: Request, caller: Caller, user_id: Annotated[Id, Query()], message_id: Annotated[Id, Query()]
) -> MessageState:
    """Answer for a message that was posted within the dedup window."""
    parts = _parts(request)
    fate = await parts.log.look_up(
        ids.partition(caller.tenant, user_id, parts.partitions),
        ids.message_key(caller.tenant, user_id, message_id),
        ids.owner_key(caller.tenant, user_id),
    )
    if fate is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such message, or it was posted longer ago than the dedup window")
    return MessageState(message_id=message_id, state=fate.state, position=str(fate.position), reason=fate.reason)


@erasures.delete("/messages", status_code=HTTPStatus.ACCEPTED, summary="Forget a message")
async def delete_message(
    request: Request, caller: Caller, user_id: Annotated[Id, Query()], message_id: Annotated[Id, Query()]
) -> ErasureAccepted:
    """Answer once the order is on disk. Nothing brings the message back; a moment later no search finds it."""
    _nothing_else(request, "user_id", "message_id")
    return await _erase(request, caller, user_id, message_id)


@erasures.delete("/users", status_code=HTTPStatus.ACCEPTED, summary="Forget all that a user said until now")
async def delete_user(request: Request, caller: Caller, user_id: Annotated[Id, Query()]) -> ErasureAccepted:
    """Answer once the order is on disk. What the user says from now on is remembered."""
    _nothing_else(request, "user_id")
    return await _erase(request, caller, user_id, None)


def _nothing_else(request: Request, *names: str) -> None:
    """Refuse parameters that are not meant here: one that is overlooked would erase more than was asked for.

    Raises:
        Invalid: there is one, or one twice.

    """
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in names:
            raise Invalid(name, "is not a parameter of this request")
        if given.count(name) > 1:
            raise Invalid(name, "is given more than once")


async def _erase(request: Request, caller: Credential, user_id: str, message_id: str | None) -> ErasureAccepted:
    parts = _parts(request)
    order = ErasureRequest(caller.tenant, user_id, message_id, parts.now())
    return ErasureAccepted(erasure_id=await parts.erasing.request(order, parts.new_name()))


@erasures.get(
    "/erasures/{erasure_id}",
    summary="What became of a request to forget?",
    responses=problem_answers(HTTPStatus.NOT_FOUND),
)
async def get_erasure(request: Request, caller: Caller, erasure_id: Id) -> Erasure:
    """Answer for a request of the last days."""
    receipt = await _parts(request).erasing.receipt(erasure_id, caller.tenant)
    if receipt is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such request, or it is older than is kept")
    return receipt
