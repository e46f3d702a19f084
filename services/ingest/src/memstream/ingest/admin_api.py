"""The HTTP routes for operators: they decode, call once and respond. They need an admin key."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request
from starlette.exceptions import HTTPException

from memstream.contracts.dead_letters import (
    LETTER_PATTERN,
    MAX_LETTERS,
    DeadLetterContent,
    DeadLetterIds,
    DeadLetterPage,
    LetterName,
    LetterResult,
    LetterResults,
)
from memstream.contracts.ids import Id
from memstream.contracts.messages import UtcTime
from memstream.ingest.dead_letters import DeadLetters, LetterFilter
from memstream.ingest.load_monitor import LoadMonitor
from memstream.runtime.errors import Invalid
from memstream.web.application import PROBLEM_ANSWERS, described_body, problem_answers, reference
from memstream.web.bearer import ADMIN
from memstream.web.bodies import JSON, read_json

ADMIN_BODY_MODELS = (DeadLetterIds,)
"""Models that are referenced from described bodies only."""

_BODY_BYTES = 1024 * 1024

_PAGE = 100


@dataclass(frozen=True, slots=True)
class AdminParts:
    """The objects that the routes call."""

    letters: DeadLetters
    pressure: LoadMonitor
    partitions: int


def _parts(request: Request) -> AdminParts:
    return cast("AdminParts", request.app.state.admin_parts)


admin_routes = APIRouter(
    prefix="/v1/admin/dead-letters",
    tags=["admin"],
    responses=PROBLEM_ANSWERS,
    dependencies=[ADMIN.declared],
)
"""The routes; they read `AdminParts` from the application's state. The key is checked before anything else."""


@dataclass(frozen=True, slots=True)
class _FilterQuery:
    """The filters in the query."""

    dead_class: Annotated[str | None, Query(alias="class")] = None
    reason: Annotated[str | None, Query(description="A part of the reason.")] = None
    tenant: Annotated[str | None, Query()] = None
    after: Annotated[UtcTime | None, Query(description="Dead-lettered at this time or later.")] = None
    before: Annotated[UtcTime | None, Query(description="Dead-lettered before this time.")] = None


@admin_routes.get("", summary="List dead letters")
async def list_letters(
    request: Request,
    wanted: Annotated[_FilterQuery, Depends()],
    cursor: Annotated[
        str | None,
        Query(description="The `cursor` of the previous page.", json_schema_extra={"pattern": LETTER_PATTERN}),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LETTERS)] = _PAGE,
) -> DeadLetterPage:
    """Return the dead letters of all tenants and partitions, the newest last, without their texts."""
    try:
        after_letter = None if cursor is None else LetterName.parse(cursor)
    except ValueError:
        raise Invalid("cursor", "is not one that a page gave out") from None
    after: datetime | None = wanted.after
    chosen = LetterFilter(wanted.dead_class, wanted.reason, wanted.tenant, after, wanted.before)
    return await _parts(request).letters.page(chosen, after_letter, limit)


@admin_routes.get("/{letter_id}", summary="Get a dead letter", responses=problem_answers(HTTPStatus.NOT_FOUND))
async def get_letter(request: Request, letter_id: Id) -> DeadLetterContent:
    """Return a dead letter with its content: the event, or the bytes if they cannot be decoded."""
    parts = _parts(request)
    name = _name(letter_id, parts.partitions)
    letter = await parts.letters.read(name) if name else None
    if letter is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such dead letter; it may have been replayed or dropped")
    return letter


@admin_routes.post(
    "/replay",
    summary="Replay dead letters",
    responses=problem_answers(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    openapi_extra=described_body({JSON: reference(DeadLetterIds)}),
)
async def replay_letters(request: Request) -> LetterResults:
    """Respond once they are durable on their streams. A repeated request does not replay them again."""
    parts = _parts(request)
    body = await _body(request)
    parts.pressure.admit()
    return await _each(body, parts, parts.letters.replay)


@admin_routes.post(
    "/drop",
    summary="Drop dead letters",
    responses=problem_answers(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    openapi_extra=described_body({JSON: reference(DeadLetterIds)}),
)
async def drop_letters(request: Request) -> LetterResults:
    """Respond once they are removed for good. The state of their messages stays `dead`, without a reason."""
    parts = _parts(request)
    return await _each(await _body(request), parts, parts.letters.drop)


async def _body(request: Request) -> list[str]:
    return DeadLetterIds.model_validate_json(await read_json(request, _BODY_BYTES)).ids


async def _each(
    letter_ids: Sequence[str],
    parts: AdminParts,
    handle: Callable[[Sequence[LetterName]], Awaitable[list[LetterResult]]],
) -> LetterResults:
    """Handle those that may exist, and return a result for each, in the order of the request."""
    names = [_name(letter_id, parts.partitions) for letter_id in letter_ids]
    handled = iter(await handle([name for name in names if name is not None]))
    return LetterResults(
        results=[
            LetterResult(id=letter_id, outcome="missing" if name is None else next(handled).outcome)
            for letter_id, name in zip(letter_ids, names, strict=True)
        ]
    )


def _name(letter_id: str, partitions: int) -> LetterName | None:
    """Parse an id; None if no dead letter can have it."""
    try:
        name = LetterName.parse(letter_id)
    except ValueError:
        return None
    return name if name.partition < partitions else None
