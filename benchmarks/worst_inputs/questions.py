"""The worst requests to the retriever: long and odd questions, large products, and bodies of many values."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.worst_inputs.cases import Case, Message, Suite, as_json

_LIMIT = 64 * 1024
"""Bytes of a text."""

TEXTS: Mapping[str, str] = {
    "years": "2020 ",
    "dots": ".",
    "capitals": "Ab Cd ",
    "digits": "1",
    "Han": "芒果湖水",
    "combining marks": "e\u0301",
    "emoji": "😀",
    "Arabic": "مرحبا ",
    "one long word": "x",
    "ligatures": "\ufdfa",
    "Thai": "กาแฟ",
    "quotes": "\"'",
}
"""What a question of 64 KiB is made of."""
_DISTINCT = " ".join(f"{number:x}" for number in range(13_000))

_SEARCH, _BATCH, _CONTEXT = "/v1/search", "/v1/search/batch", "/v1/context"


def full(part: str) -> str:
    """Return as much of a text, repeated, as the limit allows."""
    return (part * (_LIMIT // len(part.encode()))).strip()


def suite() -> Suite:
    """Return the cases, and the messages that they search."""
    return Suite([*_questions(), *_products(), *_bodies()], list(_messages()))


def _messages() -> Iterator[Message]:
    for number in range(250):
        yield Message({"user_id": "talk", "text": f"Turn {number}: the lamp 2020 " * 30, "conversation_id": "c"})
    for number in range(36):
        part = list(TEXTS.values())[number % len(TEXTS)]
        yield Message({"user_id": "long", "text": f"lamp {number} " + full(part)[:6_000], "conversation_id": "c"})
    for number in range(100):
        text = f"lamp {number} " + "芒果湖水2020" * 60
        yield Message({"user_id": "unspaced", "text": text, "conversation_id": f"c{number % 3}"})


def _case(name: str, path: str, at_once: int = 1, **fields: Any) -> Case:  # noqa: ANN401 - of a body
    return Case(name, "retriever", path, as_json(**fields), at_once=at_once)


def _questions() -> Iterator[Case]:
    texts = {name: full(part) for name, part in TEXTS.items()} | {"distinct words": _DISTINCT[:_LIMIT]}
    for name, text in texts.items():
        for user in ("talk", "long", "unspaced"):
            yield _case(f"64 KiB of {name}, of {user} messages", _SEARCH, user_id=user, query=text, limit=100)
    for name in ("years", "distinct words", "Han"):
        searches = [{"user_id": "unspaced", "query": texts[name][:5_000], "limit": 10}] * 60
        yield _case(f"60 questions of {name}", _BATCH, searches=searches)
    texts_to_compare = [f"{number} " + "x" * 9_000 for number in range(100)]
    yield _case("similarity of 100 texts", "/v1/similarity", texts=texts_to_compare)


def _products() -> Iterator[Case]:
    for user in ("talk", "long", "unspaced"):
        wide: dict[str, Any] = {"user_id": user, "query": "lamp", "limit": 100, "neighbours": 10}
        yield _case(f"100 hits and 10 neighbours, {user} messages", _SEARCH, **wide)
        yield _case(f"a context of a million tokens, {user} messages", _CONTEXT, **wide, token_budget=1_000_000)
        diverse = {"user_id": user, "query": "lamp", "limit": 50, "diversity": 1.0}
        yield _case(f"20 searches with diversity, {user} messages", _BATCH, searches=[diverse] * 20)
    searches = [{"user_id": "talk", "query": f"lamp {number}"} for number in range(100)]
    yield _case("100 searches", _BATCH, searches=searches)
    most: dict[str, Any] = {"user_id": "talk", "query": "lamp", "limit": 100, "neighbours": 10}
    yield _case("20 contexts of a million tokens at once", _CONTEXT, **most, token_budget=1_000_000, at_once=20)
    yield _case("20 batches with diversity at once", _BATCH, searches=[diverse] * 20, at_once=20)


def _bodies() -> Iterator[Case]:
    one: dict[str, Any] = {"user_id": "talk", "query": "lamp"}
    keys = [f"k{number}" for number in range(32)]
    yield _case("a wide filter", _SEARCH, **one, filter={"metadata": {key: list(range(100)) for key in keys}})
    wide = {"metadata": {key: [f"{key}-{number}" for number in range(100)] for key in keys}}
    yield _case("100 wide filters", _BATCH, searches=[{**one, "filter": wide}] * 30)
    bad: dict[str, Any] = {"metadata": {key: [[]] * 80 for key in keys}}
    yield _case("wide filters of lists", _BATCH, searches=[{**one, "filter": bad}] * 100)
    positions = [f"0.live.{number}-0" for number in range(600)]
    yield _case("positions that nobody gave out", _BATCH, searches=[{**one, "wait_for": positions}] * 60)
    few = [{**one, "wait_for": positions[:30]}] * 100
    yield _case("fewer positions that nobody gave out", _BATCH, searches=few)
    yield _case("100,000 unknown fields", _SEARCH, **one, **{f"f{number}": 1 for number in range(90_000)})
    yield Case("350,000 empty lists", "retriever", _SEARCH, b"[" + b"[]," * 349_000 + b"1]")
    yield Case("deep lists", "retriever", _SEARCH, b"[" * 500_000 + b"]" * 500_000)
    yield Case("a string without an end", "retriever", _SEARCH, b'"' + b'\\"' * 500_000)
