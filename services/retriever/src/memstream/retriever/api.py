"""The HTTP routes of the retriever: each decodes, calls once and answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeVar, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.routing import Route

from memstream.contracts.limits import Limits
from memstream.contracts.searches import (
    ContextIn,
    ContextOut,
    SearchBatchIn,
    SearchBatchOut,
    SearchIn,
    SearchOut,
    SimilarityIn,
    SimilarityOut,
)
from memstream.contracts.timelines import TimelineIn, TimelineOut
from memstream.retriever.calculations import Calculations
from memstream.retriever.context import Contexts
from memstream.retriever.quotas import SearchQuota
from memstream.retriever.rendering import is_short, render, render_all
from memstream.retriever.search import Searches
from memstream.retriever.similarity import Similarity
from memstream.retriever.timeline import Timeline
from memstream.web.application import PROBLEM_ANSWERS, described_body, reference
from memstream.web.bearer import SEARCH, SearchCaller
from memstream.web.bodies import JSON, read_json
from memstream.web.credentials import CredentialSource
from memstream.web.disconnects import cancel_on_disconnect
from memstream.web.json_values import check_values

BODY_MODELS = (SearchIn, SearchBatchIn, SimilarityIn, ContextIn)
"""Models that only the descriptions of bodies name; the OpenAPI file needs their schemas too."""

BodyT = TypeVar("BodyT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RetrieverParts:
    """What the routes call."""

    searches: Searches
    calculations: Calculations
    contexts: Contexts
    similarity: Similarity
    timeline: Timeline
    ring: CredentialSource
    quota: SearchQuota
    limits: Limits
    body_bytes: int
    body_values: int


def _parts(request: Request) -> RetrieverParts:
    return cast("RetrieverParts", request.app.state.parts)


async def _read(request: Request, model: type[BodyT]) -> BodyT:
    parts = _parts(request)
    body = await read_json(request, parts.body_bytes)
    check_values(body, parts.body_values)
    return model.model_validate_json(body, context={"limits": parts.limits})


def _answer(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type=JSON)


async def _rendered(
    parts: RetrieverParts, tenant: str, answers: Sequence[SearchOut], rendering: Callable[[], bytes]
) -> Response:
    content = await parts.calculations.run(rendering, tenant, is_short=is_short(answers))
    return Response(content, media_type=JSON)


router = APIRouter(prefix="/v1", tags=["retrieval"], responses=PROBLEM_ANSWERS)
"""The routes; `RetrieverParts` are taken from the application's state."""


@router.post(
    "/search",
    response_model=SearchOut,
    summary="Search a user's messages",
    dependencies=[SEARCH.declared],
    openapi_extra=described_body({JSON: reference(SearchIn)}),
)
async def post_search(request: Request) -> Response:
    """Return the messages that are relevant to the query, the most relevant first."""
    # Called as well as declared: a plain route has no dependencies.
    caller = await SEARCH(request)
    search = await _read(request, SearchIn)
    caller.check_user(search.user_id)
    parts = _parts(request)
    await parts.quota.take_searches(caller.tenant, [search])
    async with cancel_on_disconnect(request):
        answers = await parts.searches.search([search], caller.tenant)
        return await _rendered(parts, caller.tenant, answers, partial(render, answers[0]))


PLAIN_ROUTES = (Route("/v1/search", post_search, methods=["POST"]),)
"""The route that clients call all the time, without FastAPI's handling of dependencies."""


@router.post(
    "/search/batch",
    response_model=SearchBatchOut,
    summary="Run several searches",
    openapi_extra=described_body({JSON: reference(SearchBatchIn)}),
)
async def post_search_batch(request: Request, caller: SearchCaller) -> Response:
    """Return the result of each search, as if it had been sent on its own."""
    batch = await _read(request, SearchBatchIn)
    for search in batch.searches:
        caller.check_user(search.user_id)
    parts = _parts(request)
    await parts.quota.take_searches(caller.tenant, batch.searches)
    async with cancel_on_disconnect(request):
        answers = await parts.searches.search(batch.searches, caller.tenant)
        return await _rendered(parts, caller.tenant, answers, partial(render_all, answers))


@router.post(
    "/context",
    response_model=ContextOut,
    summary="Build the context for a prompt",
    openapi_extra=described_body({JSON: reference(ContextIn)}),
)
async def post_context(request: Request, caller: SearchCaller) -> Response:
    """Return numbered passages within the token budget. If nothing is relevant: no passage, and `abstained`."""
    question = await _read(request, ContextIn)
    caller.check_user(question.user_id)
    await _parts(request).quota.take_searches(caller.tenant, [question])
    async with cancel_on_disconnect(request):
        return _answer(await _parts(request).contexts.build(question, caller.tenant))


@router.post(
    "/similarity",
    response_model=SimilarityOut,
    summary="Compare texts",
    openapi_extra=described_body({JSON: reference(SimilarityIn)}),
)
async def post_similarity(request: Request, caller: SearchCaller) -> Response:
    """Return the cosine similarity of every pair of texts."""
    body = await _read(request, SimilarityIn)
    await _parts(request).quota.take(caller.tenant)
    async with cancel_on_disconnect(request):
        return _answer(await _parts(request).similarity.compare(body.texts, caller.tenant))


@router.get("/timeline", response_model=TimelineOut, summary="List a user's messages in time order")
async def get_timeline(request: Request, caller: SearchCaller, asked: Annotated[TimelineIn, Query()]) -> Response:
    """Return a page of messages, and a cursor for the next page.

    Messages that are recorded or deleted between two requests do not repeat or hide any other message.
    """
    caller.check_user(asked.user_id)
    await _parts(request).quota.take(caller.tenant)
    return _answer(await _parts(request).timeline.page(asked, caller.tenant))
