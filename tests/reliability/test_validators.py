"""The judges are judged: each kind of broken promise has to be found."""

from pathlib import Path

from reliability.history import Answered, Buried, Found, History, Record, Searched, Sent, Told
from reliability.validators import violations

SENT = Sent("ana", "m", "hello")
ACCEPTED = Answered("ana", "m", "accepted", "0.live.1-0")
FOUND = Found("ana", "m", 0, 1, "hello")
STORED = Told("ana", "m", "stored")


def judged(*records: Record) -> list[str]:
    """Name the validators that object to a history."""
    history = History()
    for record in records:
        history.add(record)
    return sorted({violation.partition(":")[0] for violation in violations(history)})


def test_a_history_without_fault_passes() -> None:
    assert judged(SENT, ACCEPTED, FOUND, STORED, Searched("ana", ["m"])) == []


def test_a_message_of_unknown_outcome_may_be_there_or_not() -> None:
    unknown = Answered("ana", "m", "unknown")
    assert judged(SENT, unknown, Told("ana", "m", "unknown")) == []
    assert judged(SENT, unknown, FOUND, STORED) == []


def test_a_repeat_after_an_unknown_outcome_may_be_the_first_or_not() -> None:
    unknown = Answered("ana", "m", "unknown")
    repeat = Answered("ana", "m", "accepted", "0.live.1-0", duplicate=True)
    assert judged(SENT, unknown, SENT, ACCEPTED, FOUND, STORED) == []
    assert judged(SENT, unknown, SENT, repeat, FOUND, STORED) == []


def test_a_lost_message_is_found() -> None:
    assert judged(SENT, ACCEPTED, STORED) == ["nothing_accepted_is_lost", "states_are_true"]


def test_a_lost_chunk_is_found() -> None:
    half = Found("ana", "m", 0, 2, "hello")
    assert judged(SENT, ACCEPTED, half, STORED) == ["nothing_accepted_is_lost"]


def test_a_duplicate_is_found() -> None:
    assert judged(SENT, ACCEPTED, FOUND, FOUND, STORED) == ["nothing_is_there_twice"]


def test_points_of_two_different_splits_are_found() -> None:
    assert "nothing_is_there_twice" in judged(SENT, ACCEPTED, FOUND, Found("ana", "m", 1, 2, "lo"), STORED)


def test_a_message_nobody_sent_is_found() -> None:
    assert judged(FOUND) == ["nothing_is_there_that_was_not_sent"]


def test_another_text_than_the_one_sent_is_found() -> None:
    other = Found("ana", "m", 0, 1, "goodbye")
    assert judged(SENT, ACCEPTED, other, STORED) == ["nothing_is_there_that_was_not_sent"]


def test_a_dead_letter_is_found() -> None:
    assert judged(SENT, Buried("m", "why")) == ["nothing_is_a_dead_letter"]


def test_a_refusal_is_found() -> None:
    assert judged(SENT, Answered("ana", "m", "refused")) == ["nothing_valid_is_refused"]


def test_a_lying_state_is_found() -> None:
    assert judged(SENT, ACCEPTED, FOUND, Told("ana", "m", "queued")) == ["states_are_true"]
    assert judged(SENT, ACCEPTED, FOUND) == ["states_are_true"]
    assert judged(SENT, Answered("ana", "m", "unknown"), STORED) == ["states_are_true"]


def test_a_second_append_is_found() -> None:
    again = Answered("ana", "m", "accepted", "0.live.2-0")
    assert judged(SENT, ACCEPTED, again, FOUND, STORED) == ["a_message_has_one_position"]


def test_a_hit_of_another_user_is_found() -> None:
    assert judged(SENT, ACCEPTED, FOUND, STORED, Searched("ben", ["m"])) == ["nobody_sees_what_others_said"]


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    history = History()
    for record in (SENT, ACCEPTED, FOUND, STORED, Searched("ana", ["m"]), Buried("m", "why")):
        history.add(record)
    history.write(tmp_path / "history.jsonl")
    assert History.read(tmp_path / "history.jsonl").records == history.records
