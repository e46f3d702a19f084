"""Questions asked as another user, who has no answer: as they are, and with that user's names in them. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from benchmarks.quality.sets import Judged, JudgedSet


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the user as whom it is asked."""

    question: Judged
    user: str
    swapped: bool = False
    """Whether the names of its user's speakers have been replaced by those of the other user's speakers."""


def asked_as_strangers(one: JudgedSet, rng: Random) -> Iterator[Asked]:
    """Yield each question that has an answer as asked by another user, and once more with the speakers' names swapped.

    A name that nobody in a history has is an easy reason to abstain; with the names swapped it is none.
    """
    users = sorted({question.user_id for question in one.questions})
    if len(users) <= 1:
        return
    speakers = one.speakers()
    for question in one.questions:
        if not question.evidence:
            continue
        others = [user for user in users if user != question.user_id]
        user = rng.choice(others)
        yield Asked(question, user)
        swapped = swap_names(question.question, speakers.get(question.user_id, ()), speakers.get(user, ()))
        if swapped:
            yield Asked(replace(question, question=swapped), user, swapped=True)


def swap_names(question: str, names: Sequence[str], others: Sequence[str]) -> str | None:
    """Return the question with each of the names replaced by one of the others; None if it has none of them."""
    if not names or not others:
        return None
    replacements: Mapping[str, str] = {name: others[place % len(others)] for place, name in enumerate(names)}
    # The longest first: "Anna Lee" is not "Anna".
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    swapped, count = re.subn(rf"\b(?:{pattern})(?!\w)", lambda match: replacements[match[0]], question)
    return swapped if count else None
