"""Seeded operations: what is sent, searched, read and deleted is drawn beforehand. Pure."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from memstream.contracts.keys import Lane

POISON = "hemlock"
"""A text with this word is refused by the simulated provider."""

_WORDS = (
    *("keys", "gym", "flower pot", "dentist", "Tuesday", "coffee"),
    *("Lisbon", "train", "jacket", "Zoë", "piano", "rain"),
)
_BAD_LINES = (
    '{"user_id": "ana", "text": ',
    '{"user_id": "ana"}',
    '{"user_id": "ana", "text": " "}',
    '{"user_id": "", "text": "whose?"}',
    '{"user_id": "ana", "text": "hello", "colour": "red"}',
    "[]",
)
_LONG = 400

OperationKind = Literal["single", "batch", "delete", "erase", "search", "ask", "verify"]
Drawn = OperationKind | Literal["repeat"]

MIXED: Mapping[Drawn, float] = {
    "single": 45,
    "batch": 9,
    "repeat": 10,
    "delete": 7,
    "erase": 1.5,
    "search": 9,
    "ask": 12,
}
ERASING: Mapping[Drawn, float] = {
    "single": 30,
    "batch": 9,
    "repeat": 14,
    "delete": 16,
    "erase": 5,
    "search": 4,
    "ask": 6,
    "verify": 16,
}
"""A third of all is about deletions."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message to be sent; a bad one has only its line."""

    user: str
    message_id: str
    text: str
    valid: bool = True

    @property
    def line(self) -> str:
        """Return its JSON."""
        if not self.valid:
            return self.text
        return json.dumps({"user_id": self.user, "message_id": self.message_id, "text": self.text})

    @property
    def word(self) -> str:
        """A word that no other message of the user has."""
        return f"w{self.message_id.partition('-')[2]}w"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a sender does, after a pause (seconds). A deletion, a search or a read names one message.

    To verify is to read the receipt of the last deletion of this message's user, and to look for what it names.
    """

    kind: OperationKind
    messages: Sequence[Message]
    pause: float = 0.0
    lane: Lane = "live"
    gives_up: bool = False
    """After an unknown outcome it is left at that; else it is tried again until there is an answer."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How much is drawn."""

    messages: int
    users: int
    pause: float
    """Longest pause of a sender before an operation, in seconds."""
    weights: Mapping[Drawn, float] = field(default_factory=lambda: MIXED)
    """How often each kind of operation is drawn."""


class Drawing:
    """Draws operations from a seed; all users' names begin with `prefix`."""

    def __init__(self, seed: int, shape: Shape, prefix: str) -> None:
        self._chance = Random(seed)  # noqa: S311 - nothing secret is made from it
        self._shape = shape
        self._prefix = prefix
        self._drawn: list[Message] = []
        self._counts: Counter[str] = Counter()

    def operations(self) -> list[Operation]:
        """Draw so many different messages, some sent twice; and deletions, searches, and reads of states."""
        operations: list[Operation] = []
        while len(self._drawn) < self._shape.messages:
            operations.append(self._operation())
        return operations

    def provoke(self, kind: Literal["poison", "delete"]) -> Operation:
        """Draw an operation that makes something certain to happen: a text that is refused, or a deletion."""
        if kind == "poison":
            return Operation("single", [self._message(poison=True)], lane=self._lane())
        return Operation("delete", [self._chance.choice(self._drawn) if self._drawn else self._message()])

    def _operation(self) -> Operation:
        chance = self._chance
        weights = self._shape.weights
        kind = chance.choices(tuple(weights), tuple(weights.values()))[0]
        pause, gives_up = self._shape.pause * chance.random(), chance.random() < 0.1
        if kind == "single" or not self._drawn:
            return Operation("single", [self._message()], pause, self._lane(), gives_up)
        if kind == "batch":
            return Operation("batch", self._batch(), pause, self._lane(), gives_up)
        if kind == "repeat":
            return Operation("single", [self._again()], pause, self._lane(), gives_up)
        return Operation(kind, [chance.choice(self._drawn)], pause, gives_up=gives_up)

    def _batch(self) -> list[Message]:
        """Draw messages; some are repeats, and some lines are none."""
        count = min(self._shape.messages - len(self._drawn), self._chance.randint(2, 20))
        batch = [self._message() for _ in range(count)]
        for _ in range(self._chance.choice((0, 0, 1, 3))):
            place = self._chance.randint(0, len(batch))
            bad = Message("", "", self._chance.choice(_BAD_LINES), valid=False)
            batch.insert(place, self._again() if self._chance.random() < 0.3 else bad)
        return batch

    def _again(self) -> Message:
        """Draw one that was sent before: mostly as it was, sometimes with another text."""
        message = self._chance.choice(self._drawn)
        if self._chance.random() < 0.8 or POISON in message.text:
            return message
        return Message(message.user, message.message_id, self._text(message.message_id, poison=False))

    def _message(self, *, poison: bool | None = None) -> Message:
        # Ids start anew with each user, so that a message shown to the wrong one is recognized by its text.
        user = f"{self._prefix}-user-{self._chance.randrange(self._shape.users)}"
        number = self._counts[user]
        self._counts[user] += 1
        poison = self._chance.random() < 0.015 if poison is None else poison
        message = Message(user, f"m-{number}", self._text(f"m-{number}", poison=poison))
        self._drawn.append(message)
        return message

    def _text(self, message_id: str, *, poison: bool) -> str:
        count = _LONG if self._chance.random() < 0.01 else self._chance.randint(3, 20)
        words = self._chance.choices(_WORDS, k=count)
        if poison:
            words.insert(len(words) // 2, POISON)
        return f"w{message_id.partition('-')[2]}w {' '.join(words)} {self._chance.getrandbits(32):08x}."

    def _lane(self) -> Lane:
        return "bulk" if self._chance.random() < 0.25 else "live"
