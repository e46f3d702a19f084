"""After an erasure no byte is left: streams, dead letters, files and logs of a stack are searched for the words.

A Qdrant server rewrites its files when it wants, and doesn't tell: there, the receipt has to say so.
"""

import asyncio
import secrets
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from engines import chosen
from installation import Installation, installed
from waiting import until

from memstream.contracts import keys
from memstream.contracts.events import MessageRecorded
from memstream.runtime.clock import SystemClock

COMMAND = str(Path(sys.executable).with_name("memstream"))
CLEAN = """deleted: everything that ana said until now
redis: clean
append-only file: clean
qdrant: clean
logs: clean
"""
PARTS = ("ingest-1", "embedder-1", "retriever-1")


def embeds_qdrant() -> bool:
    """Say whether Qdrant is the embedded one."""
    return chosen().qdrant_binary is None and chosen().qdrant_url is None


def never_told() -> list[dict[str, str | None]]:
    """Return what is left of every receipt."""
    return [] if embeds_qdrant() else [{"store": "qdrant", "until": None}]


def mark() -> str:
    """Make a word that nobody else has said, and that has no repetitions for a compression to replace."""
    return f"żółw{secrets.token_hex(10)}"


def forms(word: str) -> list[bytes]:
    """Return the bytes that a word may be stored as. JSON may escape its other letters, so these are left out."""
    rest = unique(word)
    return [rest.encode(), rest.encode("utf-16-le"), rest.encode("utf-16-be")]


def unique(word: str) -> str:
    """Return the part of a word that no other word has: the only one that a compression surely leaves as it is."""
    return word.removeprefix("żółw")


async def redis_values(parts: Installation) -> AsyncIterator[tuple[str, bytes]]:
    """Return all keys of Redis, each with its serialised value, and all entries of its streams."""
    async for name in parts.redis.scan_iter():
        yield f"redis {name.decode()}", await parts.redis.dump(name) or b""
        if await parts.redis.type(name) == b"stream":
            entries: Any = await parts.redis.xrange(name)
            for entry in entries:
                yield f"redis {name.decode()} entries", repr(entry).encode()


async def places(parts: Installation, words: Iterable[str]) -> dict[str, set[str]]:
    """Name the places that have a word, in any form, for each word that is found somewhere."""
    found: defaultdict[str, set[str]] = defaultdict(set)

    def look(place: str, value: bytes) -> None:
        for word in words:
            if any(form in value for form in forms(word)):
                found[word].add(place)

    folder = parts.plan.directory.path
    for path in folder.rglob("*"):
        if path.is_file() and (embeds_qdrant() or path.relative_to(folder).parts[0] != "qdrant"):
            # Most of a write-ahead log is empty.
            look(str(path.relative_to(folder)), path.read_bytes().rstrip(b"\0"))
    async for place, value in redis_values(parts):
        look(place, value)
    return found


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Installation]:
    settings = {"embedder-1": {"MEMSTREAM_EMBEDDER_PURGE_PERIOD": "PT0.2S"}}
    async with installed(Installation(tmp_path, settings=settings)) as installation:
        await installation.start("redis")
        await installation.start("keys", "qdrant", "embeddings")
        await installation.start(*PARTS)
        yield installation


class Speaker:
    """Says marked messages as one user, in every way there is."""

    def __init__(self, parts: Installation, ingest: httpx.AsyncClient, user: str) -> None:
        self.parts = parts
        self.ingest = ingest
        self.user = user
        self.words: dict[str, str] = {}
        self.positions: list[str] = []

    async def say(self, name: str, *, lane: str = "live", before: int = 0, **content: object) -> None:
        """Say a message with a marked word, after so many other words."""
        word = self.words[f"{name}{len(self.words)}"] = mark()
        text = "the lamp " + " ".join(f"word{i}" for i in range(before)) + f" {word}."
        body = {"user_id": self.user, "message_id": name, "text": text, **content}
        answer = await self.ingest.post("/v1/messages/batch", json={"messages": [body], "lane": lane})
        assert answer.status_code == 200, answer.text
        self.positions.append(answer.json()["results"][0]["position"])

    async def die(self, name: str) -> None:
        """Say a message that goes to the dead letters: it is blank but for its metadata."""
        word = self.words[name] = mark()
        now = SystemClock().now()
        event = MessageRecorded(
            tenant="local", user_id=self.user, message_id=name, text=" ", occurred_at=now, recorded_at=now,
            metadata={"note": word},
        )  # fmt: skip
        fields: Mapping[Any, Any] = {"type": event.type, "data": event.model_dump_json()}
        await self.parts.redis.xadd(keys.stream(0, "live"), dict(fields))

    async def say_all(self) -> None:
        """Say short and long, live and imported, dead-lettered messages, and words in the metadata."""
        await self.say("short")
        await self.say("long", before=600)
        await self.say("imported", lane="bulk", before=30)
        word = self.words["metadata"] = mark()
        await self.say("with metadata", metadata={"note": word})
        await self.die("dead")


async def receipt(ingest: httpx.AsyncClient, erasure_id: str) -> dict[str, Any]:
    """Return the receipt once nothing waits any more that could tell."""
    last: dict[str, Any] = {}

    async def is_clean() -> bool:
        last.update((await ingest.get(f"/v1/erasures/{erasure_id}")).json())
        return bool(last["state"] == "done" and last["waiting"] == never_told())

    await until(is_clean, "no store waits for a compaction")
    return last


async def stored(parts: Installation, speaker: Speaker) -> None:
    """Wait until a user's messages are stored and the dead one is a letter."""

    async def is_dead() -> bool:
        found: Any = await parts.redis.xrange(keys.dead_letters(0))
        return any(speaker.words["dead"].encode() in fields[b"original:data"] for _, fields in found)

    await until(is_dead, "a message is dead-lettered")
    async with parts.client("retriever-1") as retriever:
        body = {"user_id": speaker.user, "query": "lamp", "limit": 50}
        body |= {"wait_for": speaker.positions, "wait_timeout": 60}
        answer = (await retriever.post("/v1/search", json=body)).json()
        assert answer["pending"] == []
        assert len({hit["message_id"] for hit in answer["hits"]}) == 4


async def test_nothing_is_left_of_an_erased_user_and_everything_of_the_others(parts: Installation) -> None:
    async with parts.client("ingest-1") as ingest:
        ana, bob = Speaker(parts, ingest, "ana"), Speaker(parts, ingest, "bob")
        for speaker in (ana, bob):
            await speaker.say_all()
        for speaker in (ana, bob):
            await stored(parts, speaker)
        before = set().union(*(await places(parts, ana.words.values())).values())
        assert {place.split("/")[0] for place in before} >= ({"redis", "qdrant"} if embeds_qdrant() else {"redis"})
        assert {f"redis {keys.stream(0, 'live')}", f"redis {keys.dead_letters(0)}"} <= before

        erasure_id = (await ingest.delete("/v1/users", params={"user_id": "ana"})).json()["erasure_id"]
        told = await receipt(ingest, erasure_id)

        assert await places(parts, ana.words.values()) == {}
        assert (told["messages"], told["stream_entries"], told["dead_letters"]) == (4, 5, 1)
        assert told["requested_at"] <= told["done_at"] <= told["purged_at"]
        assert (await places(parts, bob.words.values())).keys() == set(bob.words.values())
        await stored(parts, bob)
        assert not await parts.redis.exists(keys.purges(0))


async def test_nothing_is_left_of_a_deleted_message(parts: Installation) -> None:
    async with parts.client("ingest-1") as ingest:
        ana = Speaker(parts, ingest, "ana")
        await ana.say_all()
        await stored(parts, ana)

        params = {"user_id": "ana", "message_id": "long"}
        told = await receipt(ingest, (await ingest.delete("/v1/messages", params=params)).json()["erasure_id"])

        (gone,) = (word for name, word in ana.words.items() if name.startswith("long"))
        assert await places(parts, [gone]) == {}
        assert (told["messages"], told["stream_entries"]) == (1, 1)
        assert (await places(parts, ana.words.values())).keys() == set(ana.words.values()) - {gone}


@pytest.mark.parametrize("moment", ["requested", "asked for", "removed"])
async def test_a_worker_that_is_killed_leaves_the_purge_to_the_next_one(parts: Installation, moment: str) -> None:
    async with parts.client("ingest-1") as ingest:
        ana = Speaker(parts, ingest, "ana")
        await ana.say_all()
        await stored(parts, ana)

        erasure_id = (await ingest.delete("/v1/users", params={"user_id": "ana"})).json()["erasure_id"]
        receipt_key = keys.erasure(0, erasure_id)

        async def has_come() -> bool:
            if moment == "requested":
                return True
            if moment == "asked for":
                return bool(await parts.redis.exists(keys.purges(0)))
            return bool(await parts.redis.hexists(receipt_key, "stream_entries"))

        await until(has_come, moment)
        await parts.kill("embedder-1")
        await parts.start("embedder-1")

        await receipt(ingest, erasure_id)
        assert await places(parts, ana.words.values()) == {}


async def forget(parts: Installation, user: str, *options: str) -> tuple[int, str]:
    """Have the command delete and verify; return its exit code and what it wrote."""
    command = (COMMAND, "forget", user, "--yes", "--verify", *options, "--home", str(parts.plan.directory.path))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.mark.usefixtures("embedded")
async def test_the_command_searches_all_stores_and_tells_by_its_exit_code(parts: Installation) -> None:
    parts.plan.directory.write_stack(parts.info)
    async with parts.client("ingest-1") as ingest:
        ana, bob = Speaker(parts, ingest, "ana"), Speaker(parts, ingest, "bob")
        for speaker in (ana, bob):
            await speaker.say_all()
            await stored(parts, speaker)

    assert (await forget(parts, "ana", *(f"--contains={unique(word)}" for word in ana.words.values()))) == (0, CLEAN)
    status, output = await forget(parts, "nobody", f"--contains={unique(bob.words['metadata'])}")
    assert status == 1
    assert f"redis: FOUND in {keys.stream(0, 'live')}" in output
    assert "qdrant: FOUND in" in output
    assert "logs: clean" in output


async def test_the_command_tells_that_a_qdrant_of_somebody_else_was_not_searched(parts: Installation) -> None:
    own = [process for process in parts.info.processes if process.name != "qdrant"]
    parts.plan.directory.write_stack(parts.info.model_copy(update={"processes": own}))
    async with parts.client("ingest-1") as ingest:
        ana = Speaker(parts, ingest, "ana")
        await ana.say_all()
        await stored(parts, ana)

    status, output = await forget(parts, "ana", *(f"--contains={unique(word)}" for word in ana.words.values()))

    assert "qdrant: not searched, its server is not this stack's own" in output
    assert "append-only file: clean" in output
    waits = "qdrant: waits for its compaction, until a time that is not known" in output
    assert (status, waits) == ((0, False) if embeds_qdrant() else (1, True))
