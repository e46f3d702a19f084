"""The `memstream` command as its user meets it: a program with arguments, a screen and an exit code."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from waiting import until

from memstream.client import Memstream, NotFound
from memstream.contracts.stack import Stack

COMMAND = str(Path(sys.executable).with_name("memstream"))

# However the tests were started, Ctrl-C reaches this one.
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from memstream.client.command import main; main()"
)


class RunningStack(Protocol):
    home: Path
    info: Stack


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


async def memstream(
    *arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None, environment: dict[str, str] | None = None
) -> Ran:
    """Run the command to its end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MEMSTREAM_")}
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env={**clean, **(environment or {})},
    )
    out, err = await process.communicate(stdin)
    return Ran(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4().hex[:12]}"


def messages(user: str, count: int, **fields: str) -> list[bytes]:
    return [
        json.dumps({"user_id": user, "text": f"Note {n}: the lamp number {n} is broken.", **fields}).encode()
        for n in range(count)
    ]


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def written(folder: Path, lines: list[bytes]) -> Path:
    file = folder / "messages.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


async def test_a_file_is_sent_and_its_second_run_adds_nothing(stack: RunningStack, tmp_path: Path, user: str) -> None:
    file = written(tmp_path, messages(user, 2500))

    first = await memstream("send", file, "--home", stack.home)
    second = await memstream("--home", stack.home, "send", file)

    assert (first.code, first.out) == (0, "2500 accepted, 0 duplicate, 0 rejected\n")
    assert (second.code, second.out) == (0, "0 accepted, 2500 duplicate, 0 rejected\n")


async def test_another_file_that_says_the_same_is_another_message(
    stack: RunningStack, tmp_path: Path, user: str
) -> None:
    for day in ("monday", "tuesday"):
        file = tmp_path / f"{day}.jsonl"
        file.write_bytes(json.dumps({"user_id": user, "text": "Good morning"}).encode())

        assert (await memstream("send", file, "--home", stack.home)).out == "1 accepted, 0 duplicate, 0 rejected\n"


async def test_bad_lines_are_named_and_spoil_nothing(stack: RunningStack, tmp_path: Path, user: str) -> None:
    good, other = messages(user, 2)
    file = written(tmp_path, [good, b"{not json", b"", b'{"user_id": "a"}', b"\xff", other])

    ran = await memstream("send", file, "--home", stack.home)

    assert ran.code == 1
    assert ran.out == "2 accepted, 0 duplicate, 3 rejected\n"
    said = sorted(ran.err.splitlines())
    assert [line.partition(":")[0] for line in said] == [f"line {n} rejected" for n in (2, 4, 5)]
    assert "is not JSON" in said[0]
    assert "text: Field required" in said[1]
    assert "is not UTF-8" in said[2]


async def test_what_was_sent_and_waited_for_is_found(stack: RunningStack, user: str) -> None:
    lines = [
        json.dumps({"user_id": user, "text": text, "speaker": speaker, "occurred_at": when}).encode()
        for text, speaker, when in (
            ("My bicycle is locked to the fence behind the library.", "Ines", "2025-02-03T10:00:00Z"),
            ("The bicycle needs a new chain.", "Paul", "2025-03-03T10:00:00Z"),
        )
    ]

    sent = await memstream("send", "-", "--wait", "--bulk", "--json", "--home", stack.home, stdin=b"\n".join(lines))
    found = await memstream("search", user, "Where is the bicycle?", "--home", stack.home)
    by_paul = await memstream("search", user, "bicycle", "--speaker", "Paul", "--json", "--home", stack.home)
    earlier = await memstream("search", user, "bicycle", "--before", "2025-03-01", "--json", "--home", stack.home)

    assert sent.document == {"accepted": 2, "duplicates": 0, "rejected": 0, "rejections": [], "complete": True}
    assert found.code == 0
    assert found.out.split()[:4] == ["relevance", "when", "who", "text"]
    assert "2025-02-03" in found.out
    assert "Ines" in found.out
    assert [hit["speaker"] for hit in by_paul.document["hits"]] == ["Paul"]
    assert [hit["speaker"] for hit in earlier.document["hits"]] == ["Ines"]


async def test_nothing_found_is_said(stack: RunningStack, user: str) -> None:
    ran = await memstream("search", user, "anything?", "--home", stack.home)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.strip() == f"Nothing found: no message of {user} matches the question."


async def test_a_message_cannot_steer_the_terminal(stack: RunningStack, user: str) -> None:
    line = json.dumps({"user_id": user, "text": "red \x1b[31malarm [bold]now[/bold]"}).encode()
    await memstream("send", "-", "--wait", "--home", stack.home, stdin=line)

    ran = await memstream("search", user, "alarm", "--home", stack.home)

    assert "\x1b" not in ran.out
    assert "[bold]now[/bold]" in ran.out


async def test_an_interrupted_run_says_how_far_it_came_and_can_be_run_again(stack: RunningStack, user: str) -> None:
    lines = [
        json.dumps({**json.loads(line), "message_id": f"m-{n}"}).encode() for n, line in enumerate(messages(user, 5))
    ]
    lines[0] = messages(user, 1)[0]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INTERRUPTIBLE, "send", "-", "--home", str(stack.home)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"\n".join(lines[:3]) + b"\n")
    await process.stdin.drain()
    await until(lambda: is_known(stack, user, "m-2"), "the first lines at ingest")

    # Its answer may still be on its way to the command; the counts are of answers.
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()

    assert process.returncode == 130
    assert out.decode() in {f"{count} accepted, 0 duplicate, 0 rejected\n" for count in (0, 3)}
    assert "run it again" in err.decode()
    assert "Traceback" not in err.decode()

    again = await memstream("send", "-", "--home", stack.home, stdin=b"\n".join(lines))
    assert (again.code, again.out) == (0, "2 accepted, 3 duplicate, 0 rejected\n")


async def is_known(stack: RunningStack, user: str, message_id: str) -> bool:
    info = stack.info
    async with Memstream(ingest_url=info.ingest_url, retriever_url=info.retriever_url, api_key=info.api_key) as memory:
        try:
            await memory.state(user, message_id)
        except NotFound:
            return False
    return True


async def test_status_says_that_both_can_serve(stack: RunningStack) -> None:
    words = await memstream("status", "--home", stack.home)
    machine = await memstream("status", "--json", "--home", stack.home)

    assert words.code == 0
    assert [line.split()[:3] for line in words.out.splitlines()[:2]] == [
        ["ingest", stack.info.ingest_url, "ready"],
        ["retriever", stack.info.retriever_url, "ready"],
    ]
    assert machine.document["ingest"]["ready"] is True
    assert machine.document["retriever"]["ready"] is True


async def test_a_wrong_key_is_one_clear_line(stack: RunningStack, tmp_path: Path, user: str) -> None:
    environment = {
        "MEMSTREAM_INGEST_URL": stack.info.ingest_url,
        "MEMSTREAM_RETRIEVER_URL": stack.info.retriever_url,
        "MEMSTREAM_API_KEY": "ms_wrong",
    }
    file = written(tmp_path, messages(user, 1))

    for arguments in (("search", user, "anything?"), ("send", file)):
        ran = await memstream(*arguments, environment=environment)
        assert ran.code == 1
        assert ran.err.startswith("memstream: ")
        assert len(ran.err.splitlines()) == 1
        assert "key" in ran.err


@pytest.mark.parametrize("command", [("status",), ("search", "ana", "what?"), ("send", "-")], ids=lambda c: c[0])
async def test_without_a_stack_it_says_how_to_start_one(command: tuple[str, ...], tmp_path: Path) -> None:
    ran = await memstream(*command, cwd=tmp_path)

    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.startswith("memstream: no stack is running here: start one with `memstream up`")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("serach", "a", "b"), "No such command 'serach'"),
        (("search", "ana"), "Missing argument 'question'"),
        (("search", "ana", "what?", "--limit", "many"), "Invalid value for '--limit'"),
        (("search", "ana", "what?", "--after", "soon", "--home", "."), "--after: 'soon' is not a time"),
        (("send", "-", "--lane", "fast"), "--lane takes live or bulk"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
async def test_a_wrong_call_is_one_line_and_exit_2(arguments: tuple[str, ...], line: str, tmp_path: Path) -> None:
    ran = await memstream(
        *arguments,
        cwd=tmp_path,
        environment=dict.fromkeys(
            ("MEMSTREAM_INGEST_URL", "MEMSTREAM_RETRIEVER_URL", "MEMSTREAM_API_KEY"), "http://127.0.0.1:9"
        ),
    )

    assert ran.code == 2
    assert line in ran.err
    assert len(ran.err.splitlines()) == 1


async def test_a_search_where_nothing_listens_fails_soon_in_one_line(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("MEMSTREAM_INGEST_URL", "MEMSTREAM_RETRIEVER_URL"), "http://127.0.0.1:9")

    ran = await memstream("search", "a", "b", cwd=tmp_path, environment={**nowhere, "MEMSTREAM_API_KEY": "k"})

    assert ran.code == 1
    assert ran.err.startswith("memstream: no answer from http://127.0.0.1:9/v1/search")
    assert len(ran.err.splitlines()) == 1


async def test_the_version_is_told() -> None:
    assert (await memstream("--version")).out.startswith("memstream 0.")


async def test_the_demo_answers_its_questions_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ran = await memstream("demo", "--model", "wordllama", environment={"TMPDIR": str(tmp_path)})

    assert (ran.code, ran.err) == (0, "")
    assert "40 messages from 03 March to 06 April 2025: accepted in " in ran.out
    assert "the blue watering can behind the shed" in ran.out.partition("? Where did we leave the spare key?")[2]
    assert left_in(tmp_path) == []


Answer = tuple[int, dict[str, str], bytes]


@asynccontextmanager
async def ingest_that_answers(answer: Callable[[list[bytes]], Answer]) -> AsyncIterator[str]:
    """Serve HTTP that answers a batch of lines as told; gives its URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:"))
        status, headers, body = answer((await reader.readexactly(size)).splitlines())
        fields = {**headers, "content-length": str(len(body)), "connection": "close"}
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def all_accepted(lines: list[bytes]) -> Answer:
    results = [{"index": n, "message_id": "m", "position": "0.live.1-1", "duplicate": False} for n in range(len(lines))]
    document = {"accepted": len(lines), "duplicates": 0, "rejected": 0, "results": results}
    return 200, {}, json.dumps(document).encode()


def settings_for(url: str) -> dict[str, str]:
    return {"MEMSTREAM_INGEST_URL": url, "MEMSTREAM_RETRIEVER_URL": url, "MEMSTREAM_API_KEY": "k"}


async def test_an_ingest_that_says_later_is_waited_out_and_said_so(user: str) -> None:
    first = iter([429, 503])

    def answer(lines: list[bytes]) -> Answer:
        status = next(first, None)
        return (status, {"retry-after": "0.1"}, b"") if status else all_accepted(lines)

    async with ingest_that_answers(answer) as url:
        ran = await memstream("send", "-", stdin=b"\n".join(messages(user, 10)), environment=settings_for(url))

    assert (ran.code, ran.out) == (0, "10 accepted, 0 duplicate, 0 rejected\n")
    assert ran.err.splitlines() == [
        f"{url}/v1/messages/batch answered {status}; next try in 0.1 s" for status in (429, 503)
    ]


async def test_an_ingest_with_lower_limits_gets_smaller_batches(user: str) -> None:
    def answer(lines: list[bytes]) -> Answer:
        return all_accepted(lines) if len(lines) <= 3 else (413, {}, b"")

    async with ingest_that_answers(answer) as url:
        ran = await memstream("send", "-", stdin=b"\n".join(messages(user, 20)), environment=settings_for(url))

    assert (ran.code, ran.out) == (0, "20 accepted, 0 duplicate, 0 rejected\n")


async def test_a_batch_that_fails_for_good_ends_the_run_with_its_reason(user: str) -> None:
    async with ingest_that_answers(lambda _lines: (500, {}, b"")) as url:
        ran = await memstream("send", "-", stdin=b"\n".join(messages(user, 3000)), environment=settings_for(url))

    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith(f"memstream: {url}/v1/messages/batch answered 500")
    assert "Traceback" not in ran.err


async def test_a_context_quotes_what_answers_and_says_when_nothing_does(stack: RunningStack, user: str) -> None:
    line = json.dumps({"user_id": user, "speaker": "Mara", "text": "The spare key is under the third flower pot."})
    await memstream("send", "-", "--wait", "--home", stack.home, stdin=line.encode())

    told = await memstream("context", user, "Where is the spare key?", "--home", stack.home)
    nothing = await memstream("context", user, "Which orchestra recorded the symphony?", "--home", stack.home)
    machine = await memstream("context", user, "Where is the key?", "--budget", "90", "--json", "--home", stack.home)
    bad = await memstream("context", user, "Where is the key?", "--budget", "0", "--home", stack.home)

    assert "Mara: The spare key is under the third flower pot." in told.out
    assert nothing.out == f"Nothing that {user} said is relevant to the question.\n"
    assert machine.document["tokens"] <= 90
    assert bad.code != 0
    assert "token_budget" in bad.err


async def test_what_is_exported_can_be_sent_again_and_is_the_same(
    stack: RunningStack, tmp_path: Path, user: str
) -> None:
    file = written(tmp_path, messages(user, 230, occurred_at="2025-05-01T12:00:00Z", speaker="Zoë", kind="note"))
    await memstream("send", file, "--wait", "--home", stack.home)

    exported = await memstream("export", user, "--home", stack.home)
    again = await memstream("send", "-", "--home", stack.home, stdin=exported.out.encode())

    lines = [json.loads(line) for line in exported.out.splitlines()]
    assert (exported.code, len({line["message_id"] for line in lines})) == (0, 230)
    assert {(line["user_id"], line["occurred_at"], line["speaker"], line["kind"]) for line in lines} == {
        (user, "2025-05-01T12:00:00Z", "Zoë", "note")
    }
    # All of one time, they come as they were recorded: as they stand in the file.
    assert [line["text"] for line in lines] == [f"Note {n}: the lamp number {n} is broken." for n in range(230)]
    assert "230 exported" in exported.err
    assert again.out == "0 accepted, 230 duplicate, 0 rejected\n"


async def test_an_export_can_be_narrowed_down(stack: RunningStack, tmp_path: Path, user: str) -> None:
    lines = [
        json.dumps({"user_id": user, "text": text, "conversation_id": text, "occurred_at": when}).encode()
        for text, when in (("old", "2025-02-03T10:00:00Z"), ("new", "2025-03-03T10:00:00Z"))
    ]
    await memstream("send", written(tmp_path, lines), "--wait", "--home", stack.home)

    for options, texts in (
        (("--after", "2025-03-01"), ["new"]),
        (("--before", "2025-03-01"), ["old"]),
        (("--conversation", "new"), ["new"]),
        (("--conversation", "newer"), []),
    ):
        exported = await memstream("export", user, *options, "--home", stack.home)
        assert [json.loads(line)["text"] for line in exported.out.splitlines()] == texts


async def test_a_search_shows_the_turns_around_a_hit(stack: RunningStack, tmp_path: Path, user: str) -> None:
    texts = (
        "Where did you put it?",
        "The spare key is under the third flower pot.",
        "Thanks, I would never have looked.",
    )
    lines = [
        json.dumps({"user_id": user, "conversation_id": "c", "speaker": "Zoë", "text": text}).encode() for text in texts
    ]
    await memstream("send", written(tmp_path, lines), "--wait", "--home", stack.home)

    ask = ("search", user, "Where is the spare key?", "--limit", "1", "--home", stack.home)
    alone = await memstream(*ask)
    among = await memstream(*ask, "--neighbours", "1", environment={"COLUMNS": "200"})

    assert "Thanks" not in alone.out
    before, hit, after = [line.strip() for line in among.out.splitlines()[1:]]
    assert before.endswith(f"Zoë: {texts[0]}")
    assert (hit, after) == (texts[1], f"Zoë: {texts[2]}")


async def test_a_search_can_prefer_what_was_said_lately_and_what_is_new(
    stack: RunningStack, tmp_path: Path, user: str
) -> None:
    lines = [
        json.dumps({"user_id": user, "message_id": when, "text": "I live in Oslo.", "occurred_at": when}).encode()
        for when in ("2021-05-01T00:00:00Z", "2024-05-01T00:00:00Z")
    ]
    await memstream("send", written(tmp_path, lines), "--wait", "--home", stack.home)

    options = ("--half-life", "365", "--diversity", "0.5", "--json", "--home", stack.home)
    found = await memstream("search", user, "Where do I live?", *options)

    hits = found.document["hits"]
    assert [hit["message_id"][:4] for hit in hits] == ["2024", "2021"]
    assert {"recency", "redundancy"} <= hits[0]["signals"].keys()


async def test_documents_of_all_users_are_sent_found_exported_and_deleted(
    stack: RunningStack, tmp_path: Path, user: str
) -> None:
    document = {
        "user_id": "*",
        "kind": "document",
        "message_id": "manual",
        "text": "The kiln needs nine hours to cool.",
    }
    home = ("--home", stack.home)
    sent = await memstream("send", written(tmp_path, [json.dumps(document).encode()]), "--wait", *home)

    alone = await memstream("search", user, "How long does the kiln cool?", "--json", *home)
    found = await memstream("search", user, "How long does the kiln cool?", "--shared", "--json", *home)
    quoted = await memstream("context", user, "How long does the kiln cool?", "--shared", *home)
    exported = await memstream("export", "*", *home)
    deleted = await memstream("delete", "*", "manual", "--yes", "--wait", *home)
    gone = await memstream("search", user, "How long does the kiln cool?", "--shared", "--json", *home)

    assert (sent.code, sent.out) == (0, "1 accepted, 0 duplicate, 0 rejected\n")
    assert alone.document["hits"] == gone.document["hits"] == []
    assert [(hit["message_id"], hit["shared"]) for hit in found.document["hits"]] == [("manual", True)]
    assert document["text"] in quoted.out
    assert document.items() <= json.loads(exported.out).items()
    assert deleted.code == 0
