"""A message that was found, and what an answer tells of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memstream.contracts import ids
from memstream.contracts.searches import Hit, Turn
from memstream.retriever.ranking.ranking import Ranked
from memstream.retriever.timeline.places import Place

Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A ranked message, whose it is, and as far as that was asked for what stands around it."""

    tenant: str
    user_id: str
    ranked: Ranked
    notes: Mapping[str, float] = field(default_factory=dict)
    """What its place among the hits was made from, besides its relevance."""
    first: Payload | None = None
    """The first chunk, which carries the whole text, of a message that was found by a later one."""
    before: Sequence[Payload] = field(default_factory=tuple)
    after: Sequence[Payload] = field(default_factory=tuple)

    @property
    def owner(self) -> str:
        """Whose it is, as every stored point says it."""
        return ids.owner(self.tenant, self.user_id)

    @property
    def payload(self) -> Payload:
        """What is stored with its best chunk."""
        return self.ranked.payload

    @property
    def is_later_chunk(self) -> bool:
        """It was found by a chunk that doesn't carry the whole text."""
        return bool(self.payload.get("chunk", 0) > 0)

    @property
    def point(self) -> str:
        """The id of its best chunk."""
        chunk = int(self.payload.get("chunk", 0))
        return str(ids.point_id(self.tenant, self.user_id, str(self.payload["message_id"]), chunk))

    @property
    def first_point(self) -> str:
        """The id of its first chunk."""
        return str(ids.point_id(self.tenant, self.user_id, str(self.payload["message_id"]), 0))

    @property
    def place(self) -> Place:
        """Where it stands among its owner's messages."""
        return Place.of(self.first_point, self.payload)

    @property
    def is_current(self) -> bool:
        """The chunk is of its message's present text.

        After the dedup window an id may be posted again, with a text of fewer chunks: those above are left of the old
        one.
        """
        if not self.is_later_chunk:
            return True
        return self.first is not None and self.first.get("recorded_at") == self.payload.get("recorded_at")

    def hit(self) -> Hit:
        """Write it as an answer gives it."""
        payload = self.payload
        return Hit(
            message_id=payload["message_id"],
            conversation_id=payload.get("conversation_id"),
            role=payload["role"],
            speaker=payload.get("speaker"),
            kind=payload["kind"],
            text=payload.get("full_text") or (self.first or {}).get("full_text") or payload["text"],
            passage=payload["text"] if payload.get("chunks", 1) > 1 else None,
            chunk=payload.get("chunk", 0),
            chunks=payload.get("chunks", 1),
            shared=self.user_id == ids.SHARED_USER,
            occurred_at=payload["occurred_at"],
            metadata=payload.get("metadata") or {},
            relevance=self.ranked.relevance,
            signals={**self.ranked.signals.named(), **self.notes},
            before=[_turn(one) for one in self.before],
            after=[_turn(one) for one in self.after],
        )


def _turn(payload: Payload) -> Turn:
    return Turn(
        message_id=payload["message_id"],
        role=payload["role"],
        speaker=payload.get("speaker"),
        text=payload["text"],
        occurred_at=payload["occurred_at"],
    )
