"""Which version of a message is stored, and what is kept of the one before."""

from dataclasses import replace
from datetime import timedelta

from unit.examples import job, recorded
from unit.manual_clock import START

from memstream.contracts.keys import Lane
from memstream.embedder.jobs import EmbeddingJob
from memstream.embedder.versions import first_of_each_message, next_version
from memstream.vectors.store import StoredMessage, StoredVersion

LATER = START + timedelta(days=3)


def posted(
    entry: str = "2-0", *, lane: Lane = "live", text: str = "new", replaces: bool = False, at: str = "own"
) -> EmbeddingJob:
    """Make a message that was posted three days after the stored one, with a time of its own or without one."""
    occurred_at = LATER if at == "none" else START + timedelta(hours=1)
    message = recorded(text=text, replaces=replaces, occurred_at=occurred_at, recorded_at=LATER)
    return replace(job(entry, lane=lane), message=message, chunks=[text], texts=[text])


def stored(entry: str = "0.live.1-0", *, text: str = "old", is_complete: bool = True) -> StoredVersion:
    """Make what is stored."""
    milliseconds = int(entry.rpartition(".")[2].partition("-")[0]) if entry else 1
    first = StoredMessage(
        owner="acme/ana",
        message_id="m-1",
        text=text,
        occurred_at=START,
        recorded_at=START,
        entry=entry,
        entry_ms=milliseconds,
    )
    return StoredVersion(first, 1, is_complete)


def test_what_is_not_there_is_stored_as_it_was_posted() -> None:
    assert next_version(posted(), None, None) == posted()


def test_another_text_is_a_new_version_that_keeps_when_it_was_recorded() -> None:
    version = next_version(posted(), stored(), None)

    assert version is not None
    assert (version.message.occurred_at, version.message.recorded_at) == (START + timedelta(hours=1), START)


def test_without_a_time_of_its_own_it_keeps_when_it_was_said_and_its_texts_begin_with_that_day() -> None:
    version = next_version(posted(at="none"), stored(), None)

    assert version is not None
    assert version.message.occurred_at == START
    assert version.texts == ["1 March 2026, user: new"]


def test_the_same_text_changes_nothing_unless_it_was_put() -> None:
    assert next_version(posted(text="old", at="none"), stored(), None) is None
    assert next_version(posted(text="old", replaces=True), stored(), None) is not None


def test_an_earlier_entry_never_overwrites_a_later_one() -> None:
    for entry, lane, later in (
        ("2-0", "live", "0.live.3-0"),
        ("2-1", "live", "0.live.2-2"),
        ("2-1", "bulk", "0.bulk.2-2"),
        ("2-0", "bulk", "0.live.2-9"),
        ("2-0", "live", "0.bulk.2-9"),
    ):
        assert next_version(posted(entry, lane=lane, replaces=True), stored(later), None) is None  # type: ignore[arg-type]


def test_the_same_entry_is_written_again_only_if_a_part_is_missing() -> None:
    assert next_version(posted(), stored("0.live.2-0"), None) is None
    assert next_version(posted(), stored("0.live.2-0", is_complete=False), None) is not None


def test_what_an_older_release_stored_is_older() -> None:
    assert next_version(posted("1-0"), stored(""), None) is not None
    assert next_version(posted("1-0", text="old"), stored(""), None) is None


def test_what_an_erasure_covers_is_as_good_as_gone() -> None:
    version = next_version(posted("5-0", text="old", at="none"), stored("0.live.1-7"), "1-7")

    assert version == posted("5-0", text="old", at="none")
    for lane in ("live", "bulk"):
        assert next_version(posted("5-0", text="old"), stored(f"0.{lane}.1-7"), "1-7") is not None
        assert next_version(posted("5-0", text="old"), stored(f"0.{lane}.1-8"), "1-7") is None


def test_of_several_versions_of_a_message_the_earliest_comes_first() -> None:
    jobs = [posted("3-0"), posted("2-0"), replace(posted("1-0"), message=recorded(message_id="other"))]

    assert first_of_each_message(jobs, [0, 1, 2]) == [1, 2]
    assert first_of_each_message(jobs, [0]) == [0]
