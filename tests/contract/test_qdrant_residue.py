"""What is deleted leaves the files of the embedded Qdrant, too: its segments and its write-ahead log."""

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE, until

from memstream.local.qdrant.collection import Collection
from memstream.local.qdrant.compaction import COMPACT_AFTER, COMPACT_WITHIN, is_due
from memstream.local.qdrant.maintenance import Maintenance
from memstream.local.qdrant.storage import Storage
from memstream.local.qdrant.updates import read_deletion, read_upsert

SHAPE = {"vectors": {"dense": {"size": 4, "distance": "Dot"}}, "sparse_vectors": {"bm25": {"modifier": "idf"}}}
LONG_AGO = datetime(2026, 1, 31, tzinfo=UTC)


def mark() -> str:
    """Make a word that is in no other file; without repetitions, so that no compression hides it."""
    return f"mark{secrets.token_hex(12)}"


def points(words: dict[int, str]) -> dict[str, Any]:
    return {
        "points": [
            {
                "id": number,
                "vector": {"dense": [1, 2, 3, number], "bm25": {"text": word, "model": "qdrant/bm25"}},
                "payload": {"owner": "ann", "text": f"said {word}, and no more"},
            }
            for number, word in words.items()
        ]
    }


def files_with(folder: Path, word: str) -> list[str]:
    """Name the files whose bytes have a word."""
    paths = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    return [str(path.relative_to(folder)) for path in paths if word.encode() in path.read_bytes()]


def delete(collection: Collection, *numbers: int, now: datetime = LONG_AGO) -> None:
    collection.write(*read_deletion({"points": list(numbers)}, collection.schema))
    collection.note_deletion(now)


def created(folder: Path) -> Storage:
    """Make a storage with a collection."""
    made = Storage(folder)
    made.create("memories", SHAPE)
    return made


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    opened = created(tmp_path)
    yield opened
    opened.close()


def test_a_compaction_takes_deleted_points_out_of_all_files_and_leaves_the_others(
    storage: Storage, tmp_path: Path
) -> None:
    collection = storage.get("memories")
    words = {number: mark() for number in range(1, 401)}
    collection.write(*read_upsert(points(words), collection.schema))
    newer = mark()
    collection.write(*read_upsert(points({7: newer}), collection.schema))
    delete(collection, 7, 9)
    collection.flush()
    assert all(files_with(tmp_path, word) for word in (words[7], newer, words[9], words[10]))

    collection.compact()

    assert [files_with(tmp_path, word) for word in (words[7], newer, words[9])] == [[], [], []]
    assert files_with(tmp_path, words[10])
    assert collection.points == 398
    assert collection.residue_since is None


def test_what_is_written_after_a_compaction_survives_a_restart(tmp_path: Path) -> None:
    storage = created(tmp_path)
    collection = storage.get("memories")
    collection.write(*read_upsert(points({1: mark(), 2: mark()}), collection.schema))
    delete(collection, 1)
    collection.compact()
    late = mark()
    collection.write(*read_upsert(points({3: late}), collection.schema))
    storage.close()

    again = Storage(tmp_path)
    found = again.get("memories").read(lambda shard: shard.retrieve([1, 2, 3], with_payload=True, with_vector=False))
    assert {record.id: late in str(record.payload) for record in found} == {2: False, 3: True}
    again.close()


def test_that_there_is_something_to_compact_is_known_after_a_crash(tmp_path: Path) -> None:
    storage = created(tmp_path)
    collection = storage.get("memories")
    collection.write(*read_upsert(points({1: mark()}), collection.schema))
    delete(collection, 1)
    storage.close()

    again = Storage(tmp_path)
    assert again.get("memories").residue_since == LONG_AGO
    again.close()


def test_what_was_deleted_during_a_compaction_waits_for_the_next_one_from_then_on(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = storage.get("memories")
    collection.write(*read_upsert(points({1: mark(), 2: mark()}), collection.schema))
    delete(collection, 1)
    meanwhile = LONG_AGO + COMPACT_WITHIN
    optimize = collection.optimize

    def optimize_and_delete() -> None:
        optimize()
        delete(collection, 2, now=meanwhile)

    monkeypatch.setattr(collection, "optimize", optimize_and_delete)

    collection.compact()

    assert collection.residue_since == meanwhile


async def test_maintenance_compacts_by_itself(storage: Storage, tmp_path: Path) -> None:
    collection = storage.get("memories")
    word = mark()
    collection.write(*read_upsert(points({1: word, 2: mark()}), collection.schema))
    delete(collection, 1)
    maintenance = Maintenance(storage, interval=timedelta(milliseconds=50))
    maintenance.start()

    async def is_compacted() -> bool:
        return collection.residue_since is None

    await until(is_compacted, "the collection is compacted")
    assert maintenance.stop(timedelta(seconds=PATIENCE))
    assert files_with(tmp_path, word) == []


@pytest.mark.parametrize(
    ("waited", "is_idle_enough", "due"),
    [
        (COMPACT_AFTER - timedelta(seconds=1), True, False),
        (COMPACT_AFTER, True, True),
        (COMPACT_AFTER, False, False),
        (COMPACT_WITHIN - timedelta(seconds=1), False, False),
        (COMPACT_WITHIN, False, True),
    ],
)
def test_deletions_are_collected_for_a_moment_and_never_wait_longer_than_promised(
    waited: timedelta, *, is_idle_enough: bool, due: bool
) -> None:
    assert is_due(LONG_AGO, LONG_AGO + waited, is_idle_enough=is_idle_enough) is due
