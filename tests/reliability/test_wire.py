"""The moments are recognized by the bytes, however those are cut."""

from typing import Any

import pytest
from reliability.wire import HttpTalk, RedisTalk, Word, commands

from memstream.contracts import keys
from memstream.streams.appending import lane_keys
from memstream.streams.dead_letter_scripts import DEAD_LETTER, DeadLetterArguments, DeadLetterKeys
from memstream.streams.scripts import ScriptCall
from memstream.streams.stream_scripts import (
    APPEND,
    DELETE_MESSAGE,
    ERASE_USER,
    AppendArguments,
    AppendKeys,
    DeletionKeys,
    ErasureArguments,
    ErasureKeys,
)

LIVE, DEAD, RECEIPT = keys.stream(0, "live"), keys.dead_letters(0), keys.erasure(0, "0.e-1")
LANE = lane_keys(0, "live")
NOTES = ("tombstones", "dead", "letters", "letters of a user")
APPENDED = AppendArguments(60, "0.live.", "x", 1)
DELETION = ErasureArguments(60, "0.live.", "message.deleted.v1", 1, "0.e-1", "acme", "2026-03-01T12:00:00Z", "0f")


def command(*words: str | int) -> bytes:
    """Write a command as clients do."""
    encoded = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def called(call: ScriptCall[Any]) -> bytes:
    """Write the call of a script as services do."""
    arguments = [one.decode() if isinstance(one, bytes) else one for one in call.arguments]
    return command("EVALSHA", call.script.sha, len(call.keys), *call.keys, *arguments)


def test_commands_are_read_however_their_bytes_come() -> None:
    said = command("SET", "a", "line\r\nline") + command("PING")
    for cut in range(len(said)):
        buffer = bytearray(said[:cut])
        found = commands(buffer)
        buffer += said[cut:]
        found += commands(buffer)
        assert found == [[b"SET", b"a", b"line\r\nline"], [b"PING"]]
        assert not buffer


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (command("EVALSHA", "f00", 3, LIVE, "seen", "erased", 60, "0.live."), "append"),
        (command("EVALSHA", "f00", 4, LIVE, DEAD, "seen", "erased", "embedder"), "dead_letter"),
        (
            called(DELETE_MESSAGE.call(DeletionKeys(LANE, RECEIPT, *NOTES, "seen", "erased"), DELETION)),
            "request_deletion",
        ),
        (called(ERASE_USER.call(ErasureKeys(LANE, RECEIPT, *NOTES, "erased"), DELETION)), "request_deletion"),
        (
            called(
                APPEND.call(AppendKeys(LANE, "letters", ["seen"], ["erased"]), AppendArguments(60, "0.live.", "x", 1))
            ),
            "append",
        ),
        (
            called(DEAD_LETTER.call(DeadLetterKeys(LIVE, DEAD), DeadLetterArguments("g", "1-0", "p"))),
            "dead_letter",
        ),
        (command("XREADGROUP", "GROUP", "embedder", "one", "STREAMS", LIVE, ">"), "read"),
        (command("XACK", LIVE, "embedder", "1-0"), "acknowledge"),
        (command("XTRIM", LIVE, "MINID", "~", "1-0"), "trim"),
    ],
)
def test_commands_of_interest_have_words(said: bytes, word: Word) -> None:
    talk = RedisTalk()
    assert talk.ask(command("PING") + said) == {word}


def test_what_the_server_refused_was_not_done() -> None:
    talk = RedisTalk()
    talk.ask(command("EVALSHA", "f00", 2, LIVE, "seen"))
    assert talk.answer(b"-NOSCRIPT No matching script.\r\n") == set()
    talk.ask(command("EVALSHA", "f00", 2, LIVE, "seen"))
    assert talk.answer(b"*2\r\n") == {"append"}


def test_nothing_was_read_where_nothing_came() -> None:
    talk = RedisTalk()
    reading = command("XREADGROUP", "GROUP", "embedder", "one", "STREAMS", LIVE, ">")
    talk.ask(reading)
    assert talk.answer(b"*-1\r\n") == set()
    talk.ask(reading)
    assert talk.answer(b"*1\r\n*2\r\n$4\r\ntype\r\n$4\r\ndata\r\n$2\r\n{}\r\n") == {"read"}


def request(line: str, body: str = "") -> bytes:
    """Write a request."""
    return f"{line} HTTP/1.1\r\nhost: x\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("PUT /collections/memstream/points?wait=true", "upsert"),
        ("POST /collections/memstream/points/delete?wait=true", "remove"),
        ("POST /v1/embeddings", "embed"),
    ],
)
def test_requests_of_interest_have_words_and_are_done_when_they_succeed(line: str, word: Word) -> None:
    talk = HttpTalk()
    assert talk.ask(request(line)) == {word}
    assert talk.answer(b"HTTP/1.1 503 Service Unavailable") == set()
    talk.ask(request(line)[:9])
    talk.ask(request(line)[9:])
    assert talk.answer(b"HTTP/1.1 200 OK") == {word}
    assert talk.answer(b"the rest of it") == set()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"operations":[{"upsert":{"points":[]}}]}', {"upsert"}),
        ('{"operations":[{"delete":{"filter":{"must":[{"key":"owner","match":{"value":"a/b"}}]}}}]}', {"remove"}),
        ('{"operations":[{"delete":{"filter":{"must":[{"key":"reserved_ms"}]}}}]}', set()),
        ('{"operations":[{"set_payload":{}},{"upsert":{"points":[]}}]}', {"reserve"}),
    ],
)
def test_batches_of_writes_have_words_by_what_they_begin_with(body: str, words: set[Word]) -> None:
    talk = HttpTalk()
    said = request("POST /collections/memstream/points/batch?wait=true", body)
    assert talk.ask(said[:50]) == set()
    assert talk.ask(said[50:]) == words


def test_trying_the_provider_out_is_no_embedding_of_a_message() -> None:
    assert HttpTalk().ask(request("POST /v1/embeddings", '{"input":["ready"],"model":"x"}')) == set()
