"""What becomes of posted messages, wherever the pieces of a body are cut."""

import collections
import contextlib
import json
from collections.abc import AsyncIterator, Generator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from unit.examples import seeded
from unit.manual_clock import ManualClock

from memstream.contracts.keys import Lane
from memstream.contracts.limits import Limits
from memstream.contracts.messages import AcceptedLine, BatchOut, RejectedLine
from memstream.ingest import answers
from memstream.ingest.answers import Outcome
from memstream.ingest.appends import Appended
from memstream.ingest.batch_bodies import Batch, find_messages
from memstream.ingest.group_commit import Amount, GroupCommit
from memstream.ingest.intake import Intake
from memstream.ingest.metrics import IngestMetrics
from memstream.ingest.recorder import NewEntry, Recorder, size_of
from memstream.runtime.errors import Forbidden, Invalid, TooLarge
from memstream.runtime.turns import Turns
from memstream.web.credentials import Credential

ACME = Credential("acme")
BEN = Credential("acme", user_id="ben")
"""Of a key that is bound to a user."""


class Log:
    """Appends to a list, each message once."""

    def __init__(self) -> None:
        self.entries: list[NewEntry] = []

    async def append(self, entries: Sequence[NewEntry]) -> list[Appended]:
        """Give each its place in the list."""
        found = []
        for entry in entries:
            places = [place for place, known in enumerate(self.entries) if known.seen_key == entry.seen_key]
            if not places:
                self.entries.append(entry)
            place = places[0] if places else len(self.entries) - 1
            found.append(Appended(f"0.{entry.lane}.{place}-0", duplicate=bool(places)))
        return found


def make(log: Log, *, batch_messages: int = 100) -> Intake:
    """Make an intake over a log."""
    clock = ManualClock()
    return Intake(
        recorder=Recorder(1, clock.now, seeded()),
        commits=GroupCommit(log.append, size_of, limit=Amount(1000, 10**6), waiting_limit=Amount(1000, 10**6)),
        limits=Limits(batch_messages=batch_messages),
        now=clock.now,
        metrics=IngestMetrics(CollectorRegistry()),
        turns=Turns(clock),
    )


def line(message_id: str, **fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Write a message as one line."""
    return json.dumps({"user_id": "ana", "text": "hello", "message_id": message_id, **fields}).encode()


async def pieces(body: bytes, cuts: Sequence[int] = ()) -> AsyncIterator[bytes]:
    """Give a body in pieces, cut at these places."""
    for start, end in pairwise([0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]):
        yield body[start:end]


async def taken(body: bytes, cuts: Sequence[int] = (), log: Log | None = None, **settings: int) -> BatchOut:
    """Take a body of JSON lines; give the answer."""
    return answer(await make(log or Log(), **settings).take_lines(pieces(body, cuts), ACME, "bulk"))


def answer(outcomes: Sequence[Outcome]) -> BatchOut:
    """Read what is answered."""
    return BatchOut.model_validate_json(answers.batch(outcomes))


BODY = b"\n".join(
    [
        *(line("m-1"), b"", line("Zo\u00eb \U0001f44d".replace("\n", "")), b"{oops", b"  \r", line("m-1")),
        *(b'{"user_id": "ana", "text": "\xff"}', line("m-2", extra=1), line("m-3") + b"\r", line("m-4")),
    ]
)


@given(st.lists(st.integers(0, 10**6), max_size=30))
async def test_the_answer_does_not_depend_on_where_the_body_is_cut(cuts: list[int]) -> None:
    assert await taken(BODY, cuts) == await taken(BODY)


async def test_a_bad_line_never_spoils_the_others() -> None:
    log = Log()
    out = await taken(BODY, log=log)

    assert (out.accepted, out.duplicates, out.rejected) == (4, 1, 3)
    assert [result.index for result in out.results] == list(range(8))
    rejected = {result.index: result.error.code for result in out.results if isinstance(result, RejectedLine)}
    assert rejected == {2: "malformed", 4: "malformed", 5: "invalid"}
    assert [entry.message_id for entry in log.entries] == ["m-1", "Zo\u00eb \U0001f44d", "m-3", "m-4"]


async def test_lines_of_any_end_are_read() -> None:
    for end in (b"", b"\n", b"\r\n", b"\n\n\n"):
        assert (await taken(line("m-1") + b"\r\n" + line("m-2") + end)).accepted == 2


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t\n"])
async def test_an_empty_body_holds_no_messages(body: bytes) -> None:
    log = Log()

    assert await taken(body, log=log) == BatchOut(accepted=0, duplicates=0, rejected=0, results=[])
    assert log.entries == []


async def test_a_rejected_line_names_its_fields() -> None:
    out = await taken(line("m-1", text=" ", tenant="x"))

    (result,) = out.results
    assert isinstance(result, RejectedLine)
    assert result.error.message == "text: is blank; tenant: is not a field of a message"


async def test_a_rejected_line_does_not_repeat_what_was_said() -> None:
    out = await taken(b'{"user_id": "ana", "text": "secret", "oops"\n' + line("m", metadata="secret"))

    assert out.rejected == 2
    assert "secret" not in out.model_dump_json()


async def test_the_lane_is_the_one_that_was_asked_for() -> None:
    log = Log()
    await taken(line("m-1"), log=log)

    assert [entry.lane for entry in log.entries] == ["bulk"]


async def test_too_many_lines_are_refused_before_anything_is_appended() -> None:
    log = Log()
    body = b"\n".join(line(f"m-{number}") for number in range(4))

    assert (await taken(body, log=log, batch_messages=4)).accepted == 4
    with pytest.raises(TooLarge, match="messages: more than 3 in one batch"):
        await taken(body, log=log, batch_messages=3)
    assert len(log.entries) == 4


async def test_items_of_a_list_are_taken_like_lines() -> None:
    items = [json.loads(line("m-1")), "oops", None, {}, json.loads(line("m-1")), {**json.loads(line("m-2")), "text": 5}]
    out = answer(await make(Log()).take_json(json.dumps({"messages": items}).encode(), ACME, None))

    assert (out.accepted, out.duplicates, out.rejected) == (1, 1, 4)
    assert [isinstance(result, AcceptedLine) for result in out.results] == [True, False, False, False, True, False]


async def test_too_long_a_list_is_refused() -> None:
    with pytest.raises(TooLarge):
        await make(Log(), batch_messages=1).take_json(b'{"messages": [{}, {}]}', ACME, None)


async def test_a_repeated_message_gets_its_first_position() -> None:
    intake = make(Log())
    first = await intake.take(line("m-1"), ACME)
    again = await intake.take(line("m-1", text="changed"), ACME)

    assert (first.position, first.duplicate) == ("0.live.0-0", False)
    assert (again.position, again.duplicate) == ("0.live.0-0", True)


async def test_the_same_id_of_another_tenant_is_another_message() -> None:
    intake = make(Log())
    await intake.take(line("m-1"), ACME)

    assert not (await intake.take(line("m-1"), Credential("globex"))).duplicate


async def test_a_single_message_that_does_not_fit_is_not_appended() -> None:
    log = Log()
    with pytest.raises(ValidationError):
        await make(log).take(line("m-1", text=""), ACME)

    assert log.entries == []


async def test_an_item_that_is_nested_too_deeply_is_rejected_alone() -> None:
    deep = b'{"user_id": "ana", "text": "x", "metadata": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}"
    body = b'{"messages": [' + b", ".join([line("m-1"), deep, b"[" * 300 + b"]" * 300, line("m-2")]) + b"]}"
    log = Log()

    out = answer(await make(log).take_json(body, ACME, None))

    assert [isinstance(result, RejectedLine) for result in out.results] == [False, True, True, False]
    assert [entry.message_id for entry in log.entries] == ["m-1", "m-2"]


@pytest.mark.parametrize(
    ("query", "body", "lane"),
    [
        (None, b"", "live"),
        ("bulk", b"", "bulk"),
        (None, b', "lane": "bulk"', "bulk"),
        ("live", b', "lane":"live"', "live"),
    ],
)
async def test_the_lane_is_named_in_the_query_or_in_the_body(query: Lane | None, body: bytes, lane: Lane) -> None:
    log = Log()
    await make(log).take_json(b'{"messages": [' + line("m-1") + b"]" + body + b"}", ACME, query)

    assert [entry.lane for entry in log.entries] == [lane]


async def test_a_lane_that_is_given_twice_and_differently_is_refused() -> None:
    with pytest.raises(Invalid, match="lane: is 'bulk' in the query and 'live' in the body"):
        await make(Log()).take_json(b'{"lane": "live", "messages": []}', ACME, "bulk")


async def test_a_line_longer_than_any_message_is_refused_at_once() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1024
            yield b" " * 1024

    with pytest.raises(TooLarge, match="longer than"):
        await make(Log()).take_lines(endless(), ACME, "live")
    assert read < 10**6


async def test_a_body_in_tiny_pieces_is_read_in_linear_time() -> None:
    """Every byte is copied a bounded number of times: the pieces of a line are joined once."""
    copied = 0

    class Piece(bytes):
        def __radd__(self, other: bytes) -> bytes:
            nonlocal copied
            copied += len(other)
            return other + bytes(self)

    whole = line("m-1", text="x" * 60_000)

    async def tiny() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), 10):
            yield Piece(whole[start : start + 10])

    assert answer(await make(Log()).take_lines(tiny(), ACME, "live")).accepted == 1
    assert copied < 10 * len(whole)


@pytest.mark.parametrize(
    "many",
    [
        b'"metadata": {"a": [' + b"[]," * 30_000 + b"[]]}",
        b",".join(b'"a%d": 1' % number for number in range(30_000)),
        b'"metadata": {' + b",".join(b'"a%d": 1' % number for number in range(30_000)) + b"}",
        b'"metadata": {"a": [' + b"1," * 100_000 + b"1]}",
    ],
    ids=["lists", "fields", "keys", "numbers"],
)
async def test_a_message_of_very_many_parts_is_refused_unread(many: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        await make(Log()).take(b'{"user_id": "ana", "text": "x", ' + many + b"}", ACME)

    assert [error["type"] for error in caught.value.errors()] == ["too_many_parts"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\[]{},: \n'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='a"\\[]{},:'), inner),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=8), st.sampled_from([None, 1, "\t"]))
def test_the_items_of_an_array_are_found_as_they_were_sent(items: list[Any], indent: int | str | None) -> None:
    body = json.dumps({"messages": items, "lane": "bulk"}, indent=indent).encode()

    batch = found(body)

    assert [json.loads(item) for item in batch.messages] == items
    assert batch.lane == "bulk"


def found(body: bytes) -> Batch:
    """Find the messages of a body."""

    def run() -> Generator[None, None, None]:
        batches.append((yield from find_messages(body, Limits())))

    batches: list[Batch] = []
    collections.deque(run(), maxlen=0)
    return batches[0]


@given(st.binary() | st.text(alphabet='{}[]",:\\ ams"').map(str.encode) | st.just(b'{"messages": [1, ').map(bytes))
def test_any_body_is_a_batch_or_refused(body: bytes) -> None:
    with contextlib.suppress(ValidationError, TooLarge, Invalid):
        found(body)


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"{",
            b'{"messages"',
            b'{"messages": [',
            b'{"messages": [{}',
            b'{"messages": [{} {}]}',
            b'{"messages": [,]}',
        ),
        *(b'{"messages": [{}]', b'{"messages": []} x', b'{"messages": [] "lane": "live"}', b"null and", b"\xff\xfe{"),
    ],
)
def test_a_body_that_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        found(body)

    assert [error["type"] for error in caught.value.errors()] == ["json_invalid"]


async def test_a_key_of_a_user_posts_as_that_user_alone() -> None:
    log = Log()

    with pytest.raises(Forbidden) as refused:
        await make(log).take(line("m-1"), BEN)
    await make(log).take(line("m-2", user_id="ben"), BEN)

    assert (refused.value.field, refused.value.missing_scope) == ("user_id", None)
    assert [entry.message_id for entry in log.entries] == ["m-2"]


async def test_in_a_batch_of_a_users_key_lines_of_others_are_refused_and_no_other() -> None:
    log = Log()
    lines = [line("m-1"), line("m-2", user_id="ben"), line("m-3", user_id="*", kind="document")]
    listed = b'{"messages": [' + b", ".join(lines) + b"]}"

    by_lines = answer(await make(log).take_lines(pieces(b"\n".join(lines)), BEN, "live"))
    by_list = answer(await make(Log()).take_json(listed, BEN, "live"))

    assert by_lines == by_list
    assert [entry.message_id for entry in log.entries] == ["m-2"]
    refused = [one.error for one in by_lines.results if isinstance(one, RejectedLine)]
    assert [(error.code, error.message) for error in refused] == [
        ("forbidden", "user_id: this key is bound to another user")
    ] * 2
