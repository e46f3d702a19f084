"""The candidates for a query: messages of the user, and documents of all users if that is asked.

What is in memory at once is bounded, however many searches are asked together and whatever the messages are like: a
request is worked on in parts, and candidates are dropped as soon as they are ranked.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import NamedTuple

from memstream.contracts import ids
from memstream.contracts.searches import SearchIn
from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.asking import Vector
from memstream.retriever.candidates.conditions import conditions_of
from memstream.runtime.deadline import Deadline
from memstream.runtime.errors import AnswerTooLarge
from memstream.vectors.store import DEPENDENCY as STORE
from memstream.vectors.store import CandidateQuery, Candidates, MemoryStore, Owner, owner_of

_PER_HIT = 2
MAX_CANDIDATES = 2_000
"""Candidates of each score that a query gets when its first ones turn out to be of too few messages."""

_MOST_POINTS = 10_000
"""Points that one round trip may bring: fifty searches with default settings."""
_MOST_VECTORS = 400
"""Of those with their vectors, which are mostly larger than texts."""
_MOST_CHARACTERS = 40_000
"""Of the questions of one round trip: to cut them into words takes time."""
_READ = 4_000
"""Characters of a question that are looked for as keywords, the first ones."""
_MOST_BYTES = 16 * 2**20
_MOST_BYTES_WITH_VECTORS = 8 * 2**20
"""About the size of the answer where more candidates are asked for. To read numbers takes longer than to read texts."""
_BYTES_OF_POINT = 600
"""Of an answer's JSON, besides a point's text and vector."""
_BYTES_OF_NUMBER = 12

_PERMITS = 16
_POINTS_OF_PERMIT = 200
"""So many searches with default settings are looked for and ranked at once."""
_WEIGHT_OF_VECTORS = 4
_WAITING = 10_000
"""More than requests are worked on."""

_Query = tuple[int, CandidateQuery]
"""The number of a search, and a query for it."""


@dataclass(frozen=True, slots=True)
class OwnerCandidates:
    """The candidates among one owner's messages."""

    owner: Owner
    candidates: Candidates


UseCandidates = Callable[[int, list[OwnerCandidates]], Awaitable[None]]
"""Makes what is needed of the candidates for a search, which is given by its number."""


class CandidateFinder:
    """Finds candidates: `limit` for each score and owner, or twice as many as the answer may hold."""

    def __init__(
        self, store: MemoryStore, limit: int, timed: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        """Make it; a query of the store is made within `timed`."""
        self._store = store
        self._limit = limit
        self._timed = timed
        self._permits = ConcurrencyLimiter(_PERMITS, _WAITING)

    async def find(
        self,
        searches: Sequence[SearchIn],
        tenant: str,
        vectors: Sequence[Vector | None],
        deadline: Deadline,
        use: UseCandidates,
    ) -> None:
        """Call `use` with the candidates for each search. All come in one round trip, unless they are very many.

        Where a few long messages took all places, more are asked for, for all such searches in a second one.

        Raises:
            Unavailable, GlobalFault, Rejected: Qdrant does not answer.
            Busy: there was no turn before the deadline.

        """
        # A query is always about one owner: what belongs to all users is asked by a query of its own.
        plan = [
            [(number, self._query(search, owner, vector)) for owner in _owners(search, tenant)]
            for number, (search, vector) in enumerate(zip(searches, vectors, strict=True))
        ]
        for part in _parts(plan):
            async with self._permits.admitted(deadline, tenant=tenant, permits=_permits_of(part)):
                again = await self._use_first(part, searches, deadline, use)
            for wider in _parts(again):
                async with self._permits.admitted(deadline, tenant=tenant, permits=_permits_of(wider)):
                    await self._use(wider, deadline, use)

    async def _use_first(
        self, part: Sequence[Sequence[_Query]], searches: Sequence[SearchIn], deadline: Deadline, use: UseCandidates
    ) -> list[list[_Query]]:
        """Use the candidates of a part, but for the searches that need more: return the queries for those."""
        again = []
        found = await self._ask(part, deadline)
        for queries in part:
            own = [next(found) for _ in queries]
            wider = [
                (number, replace(query, limit=_wider_limit(query, candidates)))
                if _is_short(candidates, searches[number].limit, query.limit)
                else (number, query)
                for (number, query), candidates in zip(queries, own, strict=True)
            ]
            if wider == list(queries):
                await use(queries[0][0], _of_owners(queries, own))
            else:
                again.append(wider)
        return again

    async def _use(self, part: Sequence[Sequence[_Query]], deadline: Deadline, use: UseCandidates) -> None:
        found = await self._ask(part, deadline)
        for queries in part:
            await use(queries[0][0], _of_owners(queries, [next(found) for _ in queries]))

    async def _ask(self, part: Sequence[Sequence[_Query]], deadline: Deadline) -> Iterator[Candidates]:
        queries = [query for each in part for _, query in each]
        with self._timed():
            async with deadline.enforced(STORE):
                return iter(await self._propose(queries))

    async def _propose(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        """Ask for candidates; if that is too much for one answer, for half of the queries, or half of the points."""
        try:
            return await self._store.propose(queries)
        except AnswerTooLarge:
            if len(queries) > 1:
                middle = len(queries) // 2
                return [*await self._propose(queries[:middle]), *await self._propose(queries[middle:])]
            (query,) = queries
            if query.limit == 1:
                raise
            return await self._propose([replace(query, limit=query.limit // 2)])

    def _query(self, search: SearchIn, owner: Owner, vector: Vector | None) -> CandidateQuery:
        return CandidateQuery(
            owner=owner,
            vector=vector,
            # Without a vector, keywords have to do.
            text=None if search.mode == "dense" and vector is not None else search.query[:_READ],
            conditions=conditions_of(search.filter),
            limit=max(self._limit, _PER_HIT * search.limit),
            with_vectors=search.diversity > 0,
        )


def _owners(search: SearchIn, tenant: str) -> list[Owner]:
    users = [search.user_id, ids.SHARED_USER] if search.shared else [search.user_id]
    return [owner_of(tenant, user) for user in users]


def _of_owners(queries: Sequence[_Query], found: Sequence[Candidates]) -> list[OwnerCandidates]:
    return [OwnerCandidates(query.owner, one) for (_, query), one in zip(queries, found, strict=True)]


def _points_of(query: CandidateQuery) -> int:
    return query.limit * ((query.vector is not None) + (query.text is not None))


def _parts(plan: Sequence[list[_Query]]) -> Iterator[list[list[_Query]]]:
    """Divide the queries of searches into parts of bounded work."""
    part: list[list[_Query]] = []
    size = _Size()
    for queries in plan:
        more = size.with_queries(queries)
        if part and more.is_too_large:
            yield part
            part, more = [], _Size().with_queries(queries)
        part.append(queries)
        size = more
    if part:
        yield part


class _Size(NamedTuple):
    """What queries bring, and how long their texts are."""

    points: int = 0
    vectors: int = 0
    characters: int = 0

    def with_queries(self, queries: Sequence[_Query]) -> "_Size":
        return _Size(
            self.points + sum(_points_of(query) for _, query in queries),
            self.vectors + sum(_points_of(query) for _, query in queries if query.with_vectors),
            self.characters + sum(len(query.text or "") for _, query in queries),
        )

    @property
    def is_too_large(self) -> bool:
        return self.points > _MOST_POINTS or self.vectors > _MOST_VECTORS or self.characters > _MOST_CHARACTERS


def _permits_of(part: Sequence[Sequence[_Query]]) -> int:
    points = sum(
        _points_of(query) * (_WEIGHT_OF_VECTORS if query.with_vectors else 1) for each in part for _, query in each
    )
    return max(1, points // _POINTS_OF_PERMIT)


def _wider_limit(query: CandidateQuery, found: Candidates) -> int:
    """Return how many candidates of each score fit into an answer, if they are like those that were found."""
    each = _BYTES_OF_POINT + sum(len(message.text) for message in found.messages.values()) // len(found.messages)
    most = _MOST_BYTES
    if query.with_vectors and query.vector is not None:
        each, most = each + _BYTES_OF_NUMBER * len(query.vector), _MOST_BYTES_WITH_VECTORS
    scores = (query.vector is not None) + (query.text is not None)
    return max(query.limit, min(MAX_CANDIDATES, most // (each * scores)))


def _is_short(found: Candidates, limit: int, asked: int) -> bool:
    """Return whether a score was cut at its limit and has too few messages."""
    if asked >= MAX_CANDIDATES or not found.messages:
        return False
    if not any(len(score) >= asked for score in (found.dense, found.keyword) if score is not None):
        return False
    messages = set()
    for message in found.messages.values():
        messages.add(message.message_id)
        if len(messages) == limit:
            return False
    return True
