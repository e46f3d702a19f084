"""The candidates for a query: messages of the user, and documents of all users if that is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memstream.contracts import ids
from memstream.contracts.searches import SearchIn
from memstream.retriever.asking import Vector
from memstream.retriever.candidates.conditions import conditions_of
from memstream.vectors.store import CandidateQuery, Candidates, MemoryStore, Owner, owner_of

_PER_HIT = 2
MAX_CANDIDATES = 2_000
"""Candidates of each score that a query gets when its first ones turn out to be of too few messages."""


@dataclass(frozen=True, slots=True)
class OwnerCandidates:
    """The candidates among one owner's messages."""

    owner: Owner
    candidates: Candidates


class CandidateFinder:
    """Finds candidates: `limit` for each score and owner, or twice as many as the answer may hold."""

    def __init__(self, store: MemoryStore, limit: int) -> None:
        self._store = store
        self._limit = limit

    async def find(
        self, searches: Sequence[SearchIn], tenant: str, vectors: Sequence[Vector | None]
    ) -> list[list[OwnerCandidates]]:
        """Return the candidates for each search, all in one round trip.

        Where a few long messages took all places, more are asked for, for all of them in a second one.

        Raises:
            Unavailable, GlobalFault, Rejected: Qdrant does not answer.

        """
        # A query is always about one owner: what belongs to all users is asked by a query of its own.
        plan = [
            (search, self._query(search, owner, vector))
            for search, vector in zip(searches, vectors, strict=True)
            for owner in _owners(search, tenant)
        ]
        queries = [query for _, query in plan]
        found = await self._store.propose(queries)
        short = [
            index
            for index, (search, query) in enumerate(plan)
            if query.limit < MAX_CANDIDATES and _is_short(found[index], search.limit, query.limit)
        ]
        if short:
            more = [replace(queries[index], limit=MAX_CANDIDATES) for index in short]
            for index, again in zip(short, await self._store.propose(more), strict=True):
                found[index] = again
        each = iter(OwnerCandidates(query.owner, one) for query, one in zip(queries, found, strict=True))
        return [[next(each) for _ in _owners(search, tenant)] for search in searches]

    def _query(self, search: SearchIn, owner: Owner, vector: Vector | None) -> CandidateQuery:
        return CandidateQuery(
            owner=owner,
            vector=vector,
            # Without a vector, keywords have to do.
            text=None if search.mode == "dense" and vector is not None else search.query,
            conditions=conditions_of(search.filter),
            limit=max(self._limit, _PER_HIT * search.limit),
            with_vectors=search.diversity > 0,
        )


def _owners(search: SearchIn, tenant: str) -> list[Owner]:
    users = [search.user_id, ids.SHARED_USER] if search.shared else [search.user_id]
    return [owner_of(tenant, user) for user in users]


def _is_short(found: Candidates, limit: int, asked: int) -> bool:
    """Return whether a score was cut at its limit and has too few messages."""
    if not any(len(score) >= asked for score in (found.dense, found.keyword) if score is not None):
        return False
    messages = set()
    for message in found.messages.values():
        messages.add(message.message_id)
        if len(messages) == limit:
            return False
    return True
