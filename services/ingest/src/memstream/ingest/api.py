"""The edge: routes that decode, call once and answer."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from memstream.contracts import ids
from memstream.contracts.ids import Id, UserId
from memstream.contracts.keys import Lane
from memstream.contracts.messages import Accepted, BatchIn, BatchOut, MessageIn, MessageState
from memstream.contracts.problems import Problem
from memstream.ingest.intake import Intake
from memstream.ingest.pressure import Pressure
from memstream.ingest.stream_log import StreamLog
from memstream.runtime.access import Credential, KeyRing
from memstream.web.application import PROBLEM_ANSWERS, described_body, reference
from memstream.web.bearer import authenticate
from memstream.web.bodies import read_body, stream_body

BODY_MODELS = (MessageIn, BatchIn)
"""Models that only the descriptions of bodies name; the OpenAPI file needs their schemas too."""

_SINGLE_BODY_BYTES = 1024 * 1024
"""A message within its limits is smaller, even with every character escaped."""

NDJSON = "application/x-ndjson"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class IngestParts:
    """What the routes call."""

    intake: Intake
    pressure: Pressure
    log: StreamLog
    ring: KeyRing
    partitions: int


def _parts(request: Request) -> IngestParts:
    return cast("IngestParts", request.app.state.parts)


async def _caller(request: Request) -> Credential:
    return await authenticate(request, _parts(request).ring)


router = APIRouter(prefix="/v1/messages", tags=["messages"], responses=PROBLEM_ANSWERS)
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
    parts = _parts(request)
    caller = await _caller(request)
    body = await read_body(request, _SINGLE_BODY_BYTES)
    parts.pressure.admit()
    accepted = await parts.intake.take(body, caller.tenant)
    return Response(accepted.model_dump_json(), HTTPStatus.ACCEPTED, media_type=JSON)


@router.post(
    "/batch",
    response_model=BatchOut,
    summary="Remember many messages",
    openapi_extra=described_body(
        {NDJSON: {"type": "string", "description": "One MessageIn a line."}, JSON: reference(BatchIn)}
    ),
)
async def post_batch(request: Request, lane: Annotated[Lane, Query(description="With NDJSON.")] = "live") -> Response:
    """Answer once every message that was taken is on disk. A bad one never spoils the others."""
    parts = _parts(request)
    caller = await _caller(request)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    parts.pressure.admit()
    limit = parts.intake.limits.batch_bytes
    if media == NDJSON:
        out = await parts.intake.take_lines(stream_body(request, limit), caller.tenant, lane)
    elif media == JSON:
        batch = BatchIn.model_validate_json(await read_body(request, limit))
        out = await parts.intake.take_list(batch.messages, caller.tenant, batch.lane)
    else:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content-type: send {NDJSON} or {JSON}")
    return Response(out.model_dump_json(), media_type=JSON)


@router.get("/state", summary="Where is a message?", responses={HTTPStatus.NOT_FOUND: {"model": Problem}})
async def get_state(
    request: Request, user_id: Annotated[UserId, Query()], message_id: Annotated[Id, Query()]
) -> MessageState:
    """Answer for a message that was posted within the dedup window."""
    parts = _parts(request)
    caller = await _caller(request)
    fate = await parts.log.look_up(
        ids.partition(caller.tenant, user_id, parts.partitions), ids.message_key(caller.tenant, user_id, message_id)
    )
    if fate is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such message, or it was posted longer ago than the dedup window")
    return MessageState(message_id=message_id, state=fate.state, position=str(fate.position), reason=fate.reason)
