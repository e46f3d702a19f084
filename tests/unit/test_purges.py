"""What is purged of a stream, and when it is known that no bytes are left."""

from typing import Any

import pytest

from memstream.contracts.events import MessageDeleted, MessageRecorded, UserErased
from memstream.embedder.compacted_stores import APPEND_ONLY_FILE, QdrantFiles, RedisFile
from memstream.embedder.purges import Purge, PurgeIndex
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import Unavailable
from memstream.vectors.store import Residue

NOW = SystemClock().now()


def said(user: str, message_id: str) -> bytes:
    event = MessageRecorded(
        tenant="acme", user_id=user, message_id=message_id, text="the lamp", occurred_at=NOW, recorded_at=NOW
    )
    return event.model_dump_json().encode()


def erasure(erasure_id: str, mark: str, message_id: str | None = None, user: str = "ana") -> Purge:
    return Purge(erasure_id=erasure_id, tenant="acme", user_id=user, message_id=message_id, mark=mark)


def found(index: PurgeIndex, data: bytes, entry_id: str) -> list[str]:
    return [purge.erasure_id for purge in index.find(data, entry_id)]


@pytest.mark.parametrize(
    ("entry_id", "expected"),
    [("10-1", ["first"]), ("10-2", ["second"]), ("20-0", ["second"]), ("20-1", []), ("21-0", [])],
)
def test_an_entry_belongs_to_the_first_erasure_after_it(entry_id: str, expected: list[str]) -> None:
    index = PurgeIndex([erasure("second", "20-0"), erasure("first", "10-1")])
    assert found(index, said("ana", "a"), entry_id) == expected
    assert found(index, said("bob", "a"), entry_id) == []


def test_an_entry_may_belong_to_its_users_erasure_and_to_its_own_deletion() -> None:
    index = PurgeIndex([erasure("message", "10-0", "a"), erasure("user", "20-0")])
    assert found(index, said("ana", "a"), "5-0") == ["user", "message"]
    assert found(index, said("ana", "b"), "5-0") == ["user"]


def test_requests_to_delete_stay_for_the_replay_after_a_restore() -> None:
    index = PurgeIndex([erasure("user", "20-0"), erasure("message", "20-0", "a")])
    request = MessageDeleted(tenant="acme", user_id="ana", message_id="a", erasure_id="message", deleted_at=NOW)
    erased = UserErased(tenant="acme", user_id="ana", erasure_id="user", erased_at=NOW)
    assert not any(found(index, event.model_dump_json().encode(), "5-0") for event in (request, erased))
    assert found(index, b"no event", "5-0") == []


def test_what_is_left_of_an_erasure_is_left_of_all_later_ones_of_the_user() -> None:
    index = PurgeIndex(
        [erasure("1", "10-0"), erasure("2", "20-0"), erasure("3", "30-0"), erasure("b", "9-0", user="b")]
    )
    assert index.with_later({"2"}) == {"2", "3"}
    assert index.last_mark == "30-0"


class Server:
    """A Redis that says how far its append-only file is."""

    def __init__(self) -> None:
        self.persistence = {"aof_enabled": 1, "aof_rewrites": 3, "aof_last_bgrewrite_status": "ok"}
        self.run = "first"

    async def info(self, section: str) -> dict[str, Any]:
        return self.persistence if section == "persistence" else {"run_id": self.run}


@pytest.mark.parametrize(
    ("changes", "run", "is_clean"),
    [
        ({}, "first", False),
        ({"aof_rewrites": 4}, "first", True),
        ({"aof_rewrites": 4, "aof_rewrite_in_progress": 1}, "first", False),
        ({"aof_rewrites": 4, "aof_last_bgrewrite_status": "err"}, "first", False),
        ({"aof_rewrites": 9}, "second", False),
    ],
)
async def test_the_append_only_file_is_clean_after_a_rewrite_that_began_after_the_purge(
    changes: dict[str, Any], run: str, *, is_clean: bool
) -> None:
    server: Any = Server()
    file = RedisFile(server, APPEND_ONLY_FILE)
    await file.look()
    state = file.begin({})
    assert state is not None

    server.persistence |= changes
    server.run = run
    await file.look()

    assert (file.check(state) is None) is is_clean


async def test_a_qdrant_that_does_not_tell_is_reported_as_waiting() -> None:
    answers: list[Residue | Exception | None] = [Unavailable("Qdrant", "down"), None, Residue(NOW), Residue(None)]

    async def ask() -> Residue | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    files = QdrantFiles(ask)
    told = []
    while answers:
        await files.look()
        told.append(files.check({}))
    assert told == [{"until": None}, {"is_final": True}, {"until": NOW.isoformat()}, None]
