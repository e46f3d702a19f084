"""The messages in the body of a batch, as JSON lines or as a JSON array, found in time linear in the body. Pure.

A message's own JSON is not parsed here: each is parsed on its own, so that one that is malformed or nested too deeply
doesn't spoil the others. What may take long yields `None` now and then, so that its caller can do something else.
"""

import json
import re
import sys
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterator
from typing import NamedTuple

from pydantic_core import InitErrorDetails, ValidationError

from memstream.contracts.keys import Lane
from memstream.contracts.limits import Limits
from memstream.contracts.messages import BatchIn, MessageIn
from memstream.runtime.errors import Invalid, TooLarge

_MESSAGES, _LANE = "messages", "lane"
_SCALAR_BYTES = 100
"""More than any name of a field or of a lane, escaped."""

_UNKNOWN_FIELDS = 20
"""So many are reported; the rest of the body is not read then."""

_FEW_PARTS_BYTES = 32 * 1024
"""What is shorter is parsed in a moment, whatever it says."""

_FEW_STRINGS = 12_000
"""Each may be the name of an unknown field. So many are reported in 40 ms."""

_STEPS = 2_000
"""Brackets between two pauses: about a millisecond."""

_PAUSE_BYTES = 64 * 1024
"""Bytes between two pauses, unless one item has more."""

# All repetitions are possessive: nothing is tried twice.
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN = rb'[^"\[\]{}]'
_SPACE = re.compile(rb"[ \t\n\r]*+")
_STRING = re.compile(_TEXT, re.DOTALL)
_WORD = re.compile(rb'[^ \t\n\r,:"\[\]{}]++')
_TO_BRACKET = re.compile(_PLAIN + rb"*+(?:" + _TEXT + _PLAIN + rb"*+)*+", re.DOTALL)
_FLAT = rb"[\[{](?:" + _PLAIN + rb"++|" + _TEXT + rb")*+[\]}]"
_TO_NESTED = re.compile(rb"(?:" + _PLAIN + rb"++|" + _TEXT + rb"|" + _FLAT + rb")*+", re.DOTALL)
"""Up to a bracket of a list or an object that has others in it."""
_BRACKETS = re.compile(rb"[\[{]++|[\]}]++")
_LINE = re.compile(rb"\s*+([^\n]++)")


class Batch(NamedTuple):
    """The messages of a JSON body, each as it was sent, and the lane if the body names one."""

    messages: list[bytes]
    lane: Lane | None


def largest_message(limits: Limits) -> int:
    """Return the bytes of the largest message within the limits, with every character escaped."""
    ids = 6 * limits.id_bytes
    return 6 * (limits.text_bytes + limits.metadata_bytes + ids) + 1024


def has_too_many_parts(message: bytes, limits: Limits) -> bool:
    """Return whether a message has more fields, lists or objects than any within the limits.

    To parse hundreds of thousands of them, only to refuse them one by one, would take long.
    """
    if len(message) <= _FEW_PARTS_BYTES:
        return False
    # Each string of metadata takes a byte at least, and each opening quote counts: no backslash stands before it.
    strings = max(_FEW_STRINGS, 2 * len(MessageIn.model_fields) + limits.metadata_bytes)
    if message.count(b'"') - message.count(b'\\"') > 2 * strings:
        return True
    # A comma in a string takes a byte of it, too.
    if message.count(b",") > limits.text_bytes + limits.metadata_bytes + len(MessageIn.model_fields) * limits.id_bytes:
        return True
    at = 0
    for _ in range(limits.metadata_bytes + 2):
        at = _end_of_match(_TO_BRACKET, message, at) + 1
        if at > len(message):
            return False
    return True


async def split_lines(pieces: AsyncIterable[bytes], longest: int) -> AsyncIterator[Iterator[bytes]]:
    """Yield the lines that each piece completes, without blank ones.

    Raises:
        TooLarge: a line is longer than `longest` bytes.

    """
    begun: list[bytes] = []
    size = 0
    async for piece in pieces:
        end = piece.rfind(b"\n") + 1
        first = piece.find(b"\n") if end else len(piece)
        if size + first > longest:
            raise _too_long(longest)
        if not end:
            begun.append(piece)
            size += len(piece)
            continue
        begun.append(piece[:end])
        yield _complete_lines(b"".join(begun), longest)
        begun, size = [piece[end:]], len(piece) - end
    yield _complete_lines(b"".join(begun), longest)


def _complete_lines(text: bytes, longest: int) -> Iterator[bytes]:
    for match in _LINE.finditer(text):
        line = match[1]
        if len(line) > longest:
            raise _too_long(longest)
        yield line


def _too_long(longest: int) -> TooLarge:
    return TooLarge(_MESSAGES, f"one is longer than {longest} bytes, more than any message within the limits")


def find_messages(body: bytes, limits: Limits) -> Generator[None, None, Batch]:
    """Return the batch in a body that is a `BatchIn`; yields now and then.

    Raises:
        ValidationError: the body is not JSON, or not a `BatchIn`.
        TooLarge: too many messages, or one that is too long.

    """
    at = _skip_space(body, 0)
    if body[at : at + 1] != b"{":
        _refuse_other_value(body, at)
    given: dict[str, object] = {}
    messages: list[bytes] = []
    at = _skip_space(body, at + 1)
    is_first = True
    while body[at : at + 1] != b"}":
        if not is_first:
            at = _skip_space(body, _expect(body, at, b","))
        is_first = False
        name, at = _read_name(body, at)
        at = _skip_space(body, _expect(body, _skip_space(body, at), b":"))
        if name in given:
            raise Invalid(name, "is given more than once")
        start = at
        if name == _MESSAGES and body[at : at + 1] == b"[":
            messages, at = yield from _find_items(body, at + 1, limits)
            given[name] = []
        else:
            at = yield from _end_of_value(body, at, largest_message(limits))
            given[name] = _read_scalar(body[start:at])
            if len(given) > _UNKNOWN_FIELDS:
                BatchIn.model_validate(given)
        at = _skip_space(body, at)
    if _skip_space(body, at + 1) != len(body):
        raise _malformed("trailing characters", at + 1)
    batch = BatchIn.model_validate(given)
    return Batch(messages, batch.lane if _LANE in given else None)


def _find_items(body: bytes, at: int, limits: Limits) -> Generator[None, None, tuple[list[bytes], int]]:
    """Return the items of the array behind whose bracket `at` is, and where it ends."""
    longest = largest_message(limits)
    items: list[bytes] = []
    at = paused_at = _skip_space(body, at)
    while body[at : at + 1] != b"]":
        if items:
            at = _skip_space(body, _expect(body, at, b","))
        if len(items) == limits.batch_messages:
            raise TooLarge(_MESSAGES, f"more than {limits.batch_messages} in one batch")
        start = at
        at = yield from _end_of_value(body, at, longest)
        items.append(body[start:at])
        at = _skip_space(body, at)
        if at - paused_at > _PAUSE_BYTES:
            paused_at = at
            yield
    return items, at + 1


def _end_of_value(body: bytes, at: int, longest: int) -> Generator[None, None, int]:
    """Return where a value ends. That brackets are of the same kind is left to whoever parses the value."""
    bound = at + longest
    if body[at : at + 1] not in {b"[", b"{"}:
        match = (_STRING if body[at : at + 1] == b'"' else _WORD).match(body, at, bound)
        if match is None or match.end() == bound:
            raise _too_long(longest) if bound <= len(body) else _malformed("expected a value", at)
        return match.end()
    at += 1
    depth = 1
    steps = 0
    while True:
        at = min(_end_of_match(_TO_NESTED, body, at, bound), bound)
        brackets = _BRACKETS.match(body, at, bound)
        if brackets is None:
            raise _too_long(longest) if bound <= len(body) else _malformed("EOF while parsing a value", at)
        count = brackets.end() - at
        if body[at] in b"[{":
            depth += count
        elif count >= depth:
            return at + depth
        else:
            depth -= count
        at += count
        steps += 1
        if not steps % _STEPS:
            yield


def _read_name(body: bytes, at: int) -> tuple[str, int]:
    match = _STRING.match(body, at)
    if match is None:
        raise _malformed("expected the name of a field", at)
    name = _read_scalar(match[0])
    return name if isinstance(name, str) else match[0][:_SCALAR_BYTES].decode(errors="replace"), match.end()


def _read_scalar(value: bytes) -> object:
    """Return a short scalar; None for anything else, which no field may be."""
    if len(value) > _SCALAR_BYTES or value[:1] in {b"[", b"{"}:
        return None
    try:
        return json.loads(value)
    except ValueError:
        raise _malformed("expected a value", 0) from None


def _expect(body: bytes, at: int, character: bytes) -> int:
    if body[at : at + 1] != character:
        raise _malformed(f"expected `{character.decode()}`", at)
    return at + 1


def _skip_space(body: bytes, at: int) -> int:
    return _end_of_match(_SPACE, body, at)


def _end_of_match(pattern: re.Pattern[bytes], body: bytes, at: int, bound: int = sys.maxsize) -> int:
    """Return the end of a match of a pattern that matches everywhere."""
    match = pattern.match(body, at, bound)
    return match.end() if match else at


def _refuse_other_value(body: bytes, at: int) -> None:
    """Raise what is wrong with a body that is no object: it is another value, or no JSON."""
    if body[at : at + 1] == b"[":
        BatchIn.model_validate([])
    BatchIn.model_validate_json(body[at : at + _SCALAR_BYTES])


def _malformed(what: str, at: int) -> ValidationError:
    error: InitErrorDetails = {
        "type": "json_invalid",
        "loc": (),
        "input": None,
        "ctx": {"error": f"{what} at byte {at}"},
    }
    return ValidationError.from_exception_data(BatchIn.__name__, [error])
