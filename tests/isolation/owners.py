"""What a user must be able to see: a model that every answer is compared with."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

_MARK = re.compile(r"mk(\d+)x\d+y")
_TOPICS = ("coffee with Ann", "the blue car", "dentist on Friday", "rent of the flat", "a recipe with beans")
"""All users say the same things, so that each other's messages would be good answers."""


@dataclass(slots=True)
class ModelOwner:
    """A user of a tenant, whose messages are known exactly: only one thing is asked for it at a time."""

    number: int
    tenant: str
    user: str
    key: str
    live: dict[str, str] = field(default_factory=dict)
    """The texts of messages that were accepted and not deleted, by id."""
    fading: dict[str, set[str]] = field(default_factory=dict)
    """Texts that were deleted, by the erasure whose receipt says when they must be gone."""
    positions: list[str] = field(default_factory=list)
    """Positions of messages that may not be searchable yet."""
    receipts: list[str] = field(default_factory=list)
    said: int = 0
    is_bound: bool = False
    """Its key is bound to this user."""
    replaced: set[str] = field(default_factory=set)
    """Texts of which a new version was put that may not be stored yet."""

    def compose(self, rng: Random) -> str:
        """Return a text that nobody else says, about what everybody talks about."""
        self.said += 1
        return f"{rng.choice(_TOPICS)} {self.mark(self.said)}"

    def mark(self, number: int) -> str:
        """Return the word by which a text of this user is known."""
        return f"mk{self.number}x{number}y"

    def question(self, rng: Random, others: Iterable["ModelOwner"]) -> str:
        """Return a question about what everybody says, or for words that only somebody else said."""
        if rng.random() < 0.5:
            return rng.choice(_TOPICS)
        other = rng.choice([*others, self])
        return other.mark(rng.randint(1, max(1, other.said)))

    def may_show(self, text: str) -> bool:
        """Return whether a text may be found now."""
        fading = any(text in texts for texts in self.fading.values())
        return fading or text in self.replaced or text in self.live.values()

    def delete(self, message_ids: Iterable[str], erasure_id: str) -> None:
        """Note that messages are to be deleted."""
        texts = {self.live.pop(message_id) for message_id in message_ids if message_id in self.live}
        self.fading.setdefault(erasure_id, set()).update(texts)
        self.receipts = [*self.receipts[-4:], erasure_id]


def strangers_in(answer: str, owner: ModelOwner, asked: str = "") -> Iterator[str]:
    """Yield the words of other users in an answer, but for those that were in the question."""
    for found in _MARK.finditer(answer):
        if int(found[1]) != owner.number and found[0] not in asked:
            yield found[0]


def marks_in(text: str) -> list[str]:
    """Return all users' words in a text."""
    return [found[0] for found in _MARK.finditer(text)]
