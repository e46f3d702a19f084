"""Which stored messages are proposed for a question: those of the user, and those of all users if that is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memstream.contracts import ids
from memstream.contracts.searches import SearchIn
from memstream.retriever.asking.query_vectors import Vector
from memstream.retriever.candidates.conditions import conditions_of
from memstream.vectors.collection import Collection
from memstream.vectors.questions import Candidates, Question

_PER_HIT = 2
MOST = 2_000
"""Candidates of each signal that a question gets when its first ones turn out to be of too few messages."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one owner's messages propose."""

    user_id: str
    candidates: Candidates


class Proposals:
    """Gets candidates, `candidates` of each signal and owner or twice what a question's answer may hold."""

    def __init__(self, collection: Collection, candidates: int) -> None:
        self._collection = collection
        self._candidates = candidates

    async def gather(
        self, searches: Sequence[SearchIn], tenant: str, vectors: Sequence[Vector | None]
    ) -> list[list[Proposal]]:
        """Give the proposals for each search, all in one round trip.

        Where a few long messages took all places, more are asked for, for all of them in a second one.

        Raises:
            Unavailable, GlobalFault, Rejected: Qdrant does not answer.

        """
        # A question is always about one owner: what belongs to all users is asked by a question of its own.
        plan = [
            (search, user_id, self._question(search, ids.owner(tenant, user_id), vector))
            for search, vector in zip(searches, vectors, strict=True)
            for user_id in _users(search)
        ]
        questions = [question for _, _, question in plan]
        found = await self._collection.ask(questions)
        short = [
            place
            for place, (search, _, question) in enumerate(plan)
            if question.candidates < MOST and _is_short(found[place], search.limit, question.candidates)
        ]
        if short:
            more = [replace(questions[place], candidates=MOST) for place in short]
            for place, again in zip(short, await self._collection.ask(more), strict=True):
                found[place] = again
        proposals = iter(Proposal(user_id, one) for (_, user_id, _), one in zip(plan, found, strict=True))
        return [[next(proposals) for _ in _users(search)] for search in searches]

    def _question(self, search: SearchIn, owner: str, vector: Vector | None) -> Question:
        return Question(
            owner=owner,
            vector=vector,
            # Without a vector, keywords have to do.
            text=None if search.mode == "dense" and vector is not None else search.query,
            conditions=conditions_of(search.filter),
            candidates=max(self._candidates, _PER_HIT * search.limit),
            vectors=search.diversity > 0,
        )


def _users(search: SearchIn) -> list[str]:
    return [search.user_id, ids.SHARED_USER] if search.shared else [search.user_id]


def _is_short(found: Candidates, limit: int, asked: int) -> bool:
    """Say whether a signal had more to give than was asked for, and that came from fewer messages than are wanted."""
    if not any(len(signal) >= asked for signal in (found.dense, found.keyword) if signal is not None):
        return False
    messages = set()
    for payload in found.payloads.values():
        messages.add(payload.get("message_id"))
        if len(messages) == limit:
            return False
    return True
