"""A stack's life: what was said and found before an end, however it ended, is found after the next start.

The command's own words, and `memstream demo`, are looked at in `test_command.py`.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from ports import free_ports
from waiting import until

from memstream.client import Memstream
from memstream.contracts.messages import Accepted, AcceptedLine
from memstream.contracts.searches import SearchOut
from memstream.contracts.stack import Stack

COMMAND = str(Path(sys.executable).with_name("memstream"))
QUESTIONS = ("Where is the spare key?", "What did the dentist say?", "ferry to the island")
CONVERSATION = [
    ("Ana", "I can't get into the house."),
    ("Ben", "The spare key is under the third flower pot, behind the shed."),
    ("Ana", "The dentist said that the tooth can stay."),
    ("Ben", "The first ferry to the island leaves at nine."),
    ("Ana", "My sister's birthday is on the fifth of June."),
]


class Life:
    """A stack on one home, from one start to its end."""

    def __init__(self, home: Path, process: asyncio.subprocess.Process) -> None:
        self._home = home
        self.process = process

    @property
    def info(self) -> Stack:
        """Read `stack.json`."""
        return Stack.model_validate_json((self._home / "stack.json").read_bytes())

    def memory(self) -> Memstream:
        """Make a client."""
        info = self.info
        return Memstream(ingest_url=info.ingest_url, retriever_url=info.retriever_url, api_key=info.api_key)

    async def hits(self) -> list[list[dict[str, Any]]]:
        """Ask the questions, and give what was found."""
        async with self.memory() as memory:
            answers = [await memory.search("family", question, limit=5) for question in QUESTIONS]
        return [[hit.model_dump() for hit in answer.hits] for answer in answers]


@contextlib.asynccontextmanager
async def living(home: Path, *options: str) -> AsyncIterator[Life]:
    """Start a stack, and wait until this very start is ready."""
    with (home.parent / "screen").open("wb") as screen:
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, "up", "--home", str(home), "--model", "wordllama", "--port-base", str(free_ports(6)), *options),
            stdout=screen,
            stderr=screen,
        )
    said = home.parent / "screen"
    try:

        def ready() -> bool:
            assert process.returncode is None, said.read_text()
            return "ready." in said.read_text()

        await until(ready, "the stack is ready")
        yield Life(home, process)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def say(life: Life) -> None:
    """Send the conversation, and wait until all of it is found."""
    async with life.memory() as memory:
        sent = [
            await memory.send({"user_id": "family", "message_id": f"m-{n}", "speaker": who, "text": text})
            for n, (who, text) in enumerate(CONVERSATION)
        ]
        answer = await memory.search("family", "key", wait_for=[one.position for one in sent])
    assert answer.pending == []


async def crash(life: Life) -> None:
    """End the supervisor and all its children as a loss of power does."""
    for pid in (life.process.pid, *(child.pid for child in life.info.processes)):
        # Children die with their supervisor, too.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await life.process.wait()


@dataclass(frozen=True, slots=True)
class Lived:
    """What a stack had to tell over three starts: it was stopped after the first, and crashed after the second."""

    stop_code: int
    left_after_stop: list[str]
    found: list[list[list[dict[str, Any]]]]
    """At each start, for each question."""
    last_words: SearchOut
    """Found at the third start, of what was accepted right before the crash."""
    repeat: Accepted


@pytest_asyncio.fixture(scope="module")
async def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Live through it."""
    home = tmp_path_factory.mktemp("life") / "home"
    async with living(home) as first:
        await say(first)
        found = [await first.hits()]
        first.process.send_signal(signal.SIGTERM)
        code = await first.process.wait()
        left = [file.name for file in home.iterdir()]

    async with living(home) as second:
        found.append(await second.hits())
        async with second.memory() as memory:
            notes = [{"user_id": "late", "message_id": f"m-{n}", "text": f"Note {n} on the lamp"} for n in range(100)]
            sent = await memory.send_batch(notes)
        await crash(second)

    async with living(home) as third, third.memory() as memory:
        found.append(await third.hits())
        positions = [result.position for result in sent.results if isinstance(result, AcceptedLine)]
        last_words = await memory.search("late", "lamp", wait_for=positions, wait_timeout=60, limit=100)
        repeat = await memory.send({"user_id": "family", "message_id": "m-0", "text": CONVERSATION[0][1]})
    return Lived(code, left, found, last_words, repeat)


async def test_what_was_said_is_found(lived: Lived) -> None:
    assert [hits[0]["message_id"] for hits in lived.found[0]] == ["m-1", "m-2", "m-3"]


async def test_a_stop_is_in_order(lived: Lived) -> None:
    assert lived.stop_code == 0
    assert "stack.json" not in lived.left_after_stop


async def test_after_a_stop_the_same_is_found(lived: Lived) -> None:
    assert lived.found[1] == lived.found[0]


async def test_after_a_crash_the_same_is_found(lived: Lived) -> None:
    assert lived.found[2] == lived.found[0]


async def test_what_was_accepted_right_before_a_crash_is_found_after_it(lived: Lived) -> None:
    assert lived.last_words.pending == []
    assert {hit.message_id for hit in lived.last_words.hits} == {f"m-{n}" for n in range(100)}


async def test_a_message_is_known_as_a_repeat_after_a_crash(lived: Lived) -> None:
    assert lived.repeat.duplicate
