"""What a store is asked, and what it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from memstream.vectors.store.conditions import Conditions
from memstream.vectors.store.messages import StoredMessage
from memstream.vectors.store.owners import Owner


@dataclass(frozen=True, slots=True)
class CandidateQuery:
    """A query to one owner's messages. With both `vector` and `text`, each score is given to the finds of both."""

    owner: Owner
    vector: npt.NDArray[np.float32] | None
    """For cosines; in the store's embedding space."""
    text: str | None
    """For BM25 scores."""
    limit: int
    """How many chunks each of the two proposes."""
    conditions: Conditions = ()
    with_vectors: bool = False
    """Whether to return the stored vectors too."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The chunks found for a query, by their ids."""

    messages: Mapping[str, StoredMessage]
    """In the order of the first score, the best first; without `full_text`. A chunk that has scores but is missing here
    was stored between the two halves of the answer."""
    dense: Mapping[str, float] | None
    """Cosines, -1..1; None if not asked for."""
    keyword: Mapping[str, float] | None
    """BM25 scores, 0 or more; None if not asked for. A chunk without a common word has none."""
    limit: int
    """How many chunks each score was asked to propose."""
    vectors: Mapping[str, Callable[[], npt.NDArray[np.float32]]] = field(default_factory=dict)
    """What reads the stored vectors, if asked for: that takes longer than all the rest. They may be scaled."""


@dataclass(frozen=True, slots=True, order=True)
class TimelinePosition:
    """Where a message stands among its owner's messages.

    Messages are in the order of event time, then of recorded time, then of the id of their first chunk: a total order
    whose keys never change.
    """

    occurred_at: datetime
    recorded_at: datetime
    point: str

    @classmethod
    def of(cls, point: str, message: StoredMessage) -> "TimelinePosition":
        """Return a message's position; `point` is the id of its first chunk."""
        return cls(message.occurred_at, message.recorded_at, point)


@dataclass(frozen=True, slots=True)
class FirstChunks:
    """Asks for the first chunks of messages, by their ids."""

    owner: Owner
    message_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Asks for up to `count` turns of a conversation on either side of a position."""

    owner: Owner
    conversation_id: str
    position: TimelinePosition
    count: int


@dataclass(frozen=True, slots=True)
class Turns:
    """The turns on either side of a position, in the order they were said. They lack `full_text` and `metadata`."""

    before: Sequence[StoredMessage] = ()
    after: Sequence[StoredMessage] = ()
