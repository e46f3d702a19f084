"""A message that was found, and what an answer shows of it."""

from dataclasses import dataclass, field

from memstream.contracts.searches import Hit, Turn
from memstream.retriever.ranking import RankedMessage
from memstream.vectors.store import Owner, StoredMessage, TimelinePosition, Turns


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A ranked message, its owner, and the turns around it as far as they were asked for."""

    owner: Owner
    ranked: RankedMessage
    first: StoredMessage | None = None
    """The first chunk, which carries the whole text, of a message that has several."""
    turns: Turns = field(default_factory=Turns)

    @property
    def message(self) -> StoredMessage:
        """Its best chunk."""
        return self.ranked.message

    @property
    def is_part(self) -> bool:
        """Whether its chunk is not the whole message."""
        return self.message.chunks > 1

    @property
    def position(self) -> TimelinePosition:
        """Where it stands among its owner's messages."""
        return TimelinePosition.of(str(self.owner.point_id(self.message.message_id, 0)), self.message)

    @property
    def is_current(self) -> bool:
        """Whether the chunk is of its message's present text.

        After the dedup window an id may be posted again, with a text of fewer chunks: those above are left of the old
        one.
        """
        if not self.is_part:
            return True
        return self.first is not None and self.first.recorded_at == self.message.recorded_at

    def as_answer(self) -> Hit:
        """Return it as an answer gives it."""
        message = self.message
        first = message if self.first is None else self.first
        return Hit(
            **message.content | {"text": first.full_text or message.text},
            passage=message.text if message.chunks > 1 else None,
            chunk=message.chunk,
            chunks=message.chunks,
            shared=self.owner.is_shared,
            relevance=self.ranked.relevance,
            signals={**self.ranked.signals, **self.ranked.notes},
            before=[_turn(one) for one in self.turns.before],
            after=[_turn(one) for one in self.turns.after],
        )


def _turn(message: StoredMessage) -> Turn:
    return Turn(
        message_id=message.message_id,
        role=message.role,
        speaker=message.speaker,
        text=message.text,
        occurred_at=message.occurred_at,
    )
