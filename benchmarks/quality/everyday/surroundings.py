"""Puts a case among unrelated messages, as one user's. Pure, and the same for the same seed.

Cases that say the same, and differ in what is asked, are asked of one history. What is said around them is drawn from
conversations that all histories draw from: so much of it is the same text on the same day, which has to be embedded
once.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from random import Random
from typing import Any, NamedTuple

from benchmarks.quality.everyday.cases import Case, Said
from benchmarks.quality.everyday.unrelated import sentences

NOTES, APART, AMID, CHAT = "notes", "apart", "amid", "chat"
SHAPES = {
    NOTES: "no message has a conversation, and only what a case's people said has a speaker",
    APART: "all have speakers; the case's messages are conversations of their own",
    AMID: "all have speakers; the case's messages stand in the middle of conversations about other things",
    CHAT: "the same, with an assistant, and nobody has a name; of cases that name nobody",
}

_FIRST_DAY = datetime.fromisoformat("2024-04-15T08:00:00+00:00")
_DAYS = 59
_MINUTES_OF_A_DAY = 12 * 60
_MINUTE = timedelta(minutes=1)
_TURNS = 10
"""Of a conversation."""
_CONVERSATIONS = 100
"""That all histories draw from; a longer history from as many as it needs."""
_PEOPLE = ("Uma", "Rob")
"""Who speaks where the case names nobody; what the case's user said is said by the first."""
_OF_THE_CASE = 3
"""One in so many conversations is among the case's people."""


@dataclass(frozen=True, slots=True)
class PlacedCase:
    """A case among other messages."""

    case: Case
    size: int
    """How many unrelated messages are around it."""
    shape: str
    user_id: str
    ids: tuple[str, ...]
    """The message ids of what was said in the case, in its order."""
    messages: tuple[dict[str, Any], ...]
    """All messages, as they are posted, in no order."""

    @property
    def query(self) -> dict[str, Any]:
        """The fields of the search."""
        asked_at = {} if self.case.as_of is None else {"as_of": self.case.as_of}
        return {"user_id": self.user_id, "query": self.case.ask, **asked_at}


@dataclass(frozen=True, slots=True)
class _Turn:
    text: str
    at: datetime
    speaker: str | None
    role: str
    conversation: str | None
    place: int | None = None
    """In the case; None of an unrelated message."""


def place_all(cases: Iterable[Case], sizes: Sequence[int], shapes: Sequence[str], seed: int) -> list[PlacedCase]:
    """Return the cases in all surroundings. With no message around them, to stand apart is the same as amid."""
    histories: dict[tuple[object, ...], PlacedCase] = {}
    placed = []
    for case in cases:
        for size in sizes:
            for shape in shapes:
                if _suits(case, size, shape):
                    name = (case.axis, case.said, case.language, size, shape)
                    if name not in histories:
                        histories[name] = place(case, size, shape, seed)
                    placed.append(replace(histories[name], case=case))
    return placed


def _suits(case: Case, size: int, shape: str) -> bool:
    if shape == CHAT and any(one.speaker for one in case.said):
        return False
    return shape in (case.shapes or SHAPES) and (size > 0 or shape != AMID)


def messages_of(placed: Iterable[PlacedCase]) -> Iterator[dict[str, Any]]:
    """Yield the messages of all histories, each history once."""
    for one in {one.user_id: one for one in placed}.values():
        yield from one.messages


def place(case: Case, size: int, shape: str, seed: int) -> PlacedCase:
    """Return a case among so many unrelated messages."""
    told = json.dumps([(one.text, one.speaker, one.role, one.at) for one in case.said])
    rng = Random(f"{seed}/{case.axis}/{told}/{size}/{shape}")  # noqa: S311 - a draw, not a secret
    chats = _drawn(rng, size, case.language, seed)
    turns = _notes(case, chats, rng) if shape == NOTES else _talk(case, chats, rng, shape)
    rng.shuffle(turns)
    # A stack that is kept has what other versions of a case posted: those are other users.
    told = json.dumps([(turn.text, turn.at.isoformat(), turn.speaker) for turn in turns])
    user = f"{case.axis}-{size}-{shape}-{_digest(told)}"
    # An id says nothing about what the message is: hits that are equal otherwise are ordered by it.
    ids = [_digest(f"{user}/{number}") for number in range(len(turns))]
    messages = [_message(user, name, turn) for name, turn in zip(ids, turns, strict=True)]
    places = {turn.place: name for name, turn in zip(ids, turns, strict=True) if turn.place is not None}
    return PlacedCase(case, size, shape, user, tuple(places[place] for place in range(len(case.said))), tuple(messages))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _message(user: str, name: str, turn: _Turn) -> dict[str, Any]:
    optional = {"speaker": turn.speaker, "conversation_id": turn.conversation}
    return {
        "user_id": user,
        "message_id": name,
        "role": turn.role,
        "text": turn.text,
        "occurred_at": turn.at.isoformat(),
        **{field: value for field, value in optional.items() if value is not None},
    }


@dataclass(frozen=True, slots=True)
class _Chat:
    """A conversation about nothing that any case is about."""

    number: int
    starts: datetime
    texts: tuple[str, ...]


@cache
def _chat(number: int, language: str, seed: int) -> _Chat:
    rng = Random(f"{seed}/{language}/{number}")  # noqa: S311 - a draw, not a secret
    return _Chat(number, _some_time(rng), tuple(sentences(rng, _TURNS, language)))


def _drawn(rng: Random, size: int, language: str, seed: int) -> list[_Chat]:
    """Return conversations of so many messages in sum."""
    count = math.ceil(size / _TURNS)
    chats = [_chat(number, language, seed) for number in rng.sample(range(max(count, _CONVERSATIONS)), count)]
    left = [size - start for start in range(0, size, _TURNS)]
    return [replace(chat, texts=chat.texts[:rest]) for chat, rest in zip(chats, left, strict=True)]


def _in_order(chat: _Chat) -> list[datetime]:
    return [chat.starts + index * _MINUTE for index in range(len(chat.texts))]


def _notes(case: Case, chats: Sequence[_Chat], rng: Random) -> list[_Turn]:
    others = [
        _Turn(text, at, None, "user", None)
        for chat in chats
        for text, at in zip(chat.texts, _in_order(chat), strict=True)
    ]
    times = _times(case, _some_time(rng))
    said = zip(case.said, times, strict=True)
    return others + [_Turn(one.text, at, one.speaker, one.role, None, place) for place, (one, at) in enumerate(said)]


def _talk(case: Case, chats: Sequence[_Chat], rng: Random, shape: str) -> list[_Turn]:
    is_amid, people = shape != APART, _people(case, shape)
    has_assistant = shape == CHAT or any(one.role == "assistant" for one in case.said)
    told = list(_conversations(case, _some_time(rng)))
    turns: list[_Turn] = []
    for number in range(max(len(told), len(chats))):
        part = told[number] if number < len(told) else []
        name = f"talk-{number}"
        of_case = name if is_amid else f"case-{number}"
        for place, one, at in part:
            speaker = one.speaker or (people.others[0] if one.role == "user" else None)
            turns.append(_Turn(one.text, at, speaker, one.role, of_case, place))
        if number < len(chats):
            chat, is_around = chats[number], is_amid and bool(part)
            speakers = people.of_case if is_around or chat.number % _OF_THE_CASE == 0 else people.others
            times = _around(part, chat, rng) if is_around else _in_order(chat)
            turns += _turns(chat, times, speakers, name, has_assistant=has_assistant)
    return turns


class _People(NamedTuple):
    """Who speaks in conversations: None has no name."""

    of_case: Sequence[str | None]
    others: Sequence[str | None]


def _people(case: Case, shape: str) -> _People:
    if shape == CHAT:
        return _People([None], [None])
    return _People(sorted({one.speaker for one in case.said if one.speaker}) or _PEOPLE, _PEOPLE)


def _around(part: Sequence[tuple[int, Said, datetime]], chat: _Chat, rng: Random) -> list[datetime]:
    """Return when each turn of a conversation is said, in the middle of which a case's messages are."""
    count = len(chat.texts)
    before = rng.randint(count // 3, 2 * count // 3)
    starts, ends = part[0][2], part[-1][2]
    return [
        starts - (before - index) * _MINUTE if index < before else ends + (index - before + 1) * _MINUTE
        for index in range(count)
    ]


def _turns(
    chat: _Chat, times: Sequence[datetime], speakers: Sequence[str | None], name: str, *, has_assistant: bool
) -> Iterator[_Turn]:
    for index, (text, at) in enumerate(zip(chat.texts, times, strict=True)):
        is_answer = has_assistant and index % 2 == 1
        # Who says a text depends on nothing but who is there.
        speaker = None if is_answer else speakers[(chat.number + index * 7 // 5) % len(speakers)]
        yield _Turn(text, at, speaker, "assistant" if is_answer else "user", name)


def _conversations(case: Case, day: datetime) -> Iterator[list[tuple[int, Said, datetime]]]:
    """Yield what was said on the same day as one conversation, with its places and times."""
    told = zip(range(len(case.said)), case.said, _times(case, day), strict=True)
    for _, part in groupby(told, lambda one: one[2].date()):
        yield list(part)


def _times(case: Case, start: datetime) -> list[datetime]:
    """Return when each message was said: a minute apart, where the case doesn't say."""
    return [
        datetime.fromisoformat(one.at) if one.at else start + place * _MINUTE for place, one in enumerate(case.said)
    ]


def _some_time(rng: Random) -> datetime:
    return _FIRST_DAY + timedelta(days=rng.randrange(_DAYS), minutes=rng.randrange(_MINUTES_OF_A_DAY))
