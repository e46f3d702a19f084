"""The validators are tested: each kind of broken guarantee has to be found, and nothing else."""

from collections.abc import Sequence
from pathlib import Path

from reliability.history import (
    Answered,
    Asking,
    BatchAnswered,
    DeadLettered,
    Deleted,
    Deleting,
    Drained,
    FaultInjected,
    Found,
    History,
    Length,
    Receipt,
    Record,
    Searched,
    Sent,
    StateRead,
    Verified,
)
from reliability.validators import violations

TEXT = "w1w hello"
SENT = Sent(1, 0, "ana", "m-1", TEXT)
ACCEPTED = Answered(1, 0, "ana", "m-1", "accepted", "0.live.1-0")
UNKNOWN = Answered(1, 0, "ana", "m-1", "unknown")
FOUND = Found("ana", "m-1", 0, 1, TEXT)
STORED = StateRead(0, "ana", "m-1", "stored")
UNSEEN = StateRead(0, "ana", "m-1", "unknown")
GONE = StateRead(0, "ana", "m-1", "deleted")
SENT_AGAIN = Sent(2, 0, "ana", "m-1", TEXT)
DUPLICATE = Answered(2, 0, "ana", "m-1", "accepted", "0.live.1-0", duplicate=True)
DELETE: list[Record] = [Deleting(3, "ana", "m-1"), Deleted(3, "e-3")]
ERASE: list[Record] = [Deleting(4, "ana", None), Deleted(4, "e-4")]
DONE: list[Record] = [Receipt("e-3", "message", "done")]
ERASED: list[Record] = [Receipt("e-4", "user", "done")]
POISON = Sent(1, 0, "ana", "m-1", "w1w hemlock")
LETTER = DeadLettered("ana", "m-1", "poison", "HTTP 400")
DEAD = StateRead(0, "ana", "m-1", "dead", reason="HTTP 400")
BAD = Sent(1, 1, "", "", "[]", valid=False)
REFUSED = Answered(1, 1, "", "", "refused", reason="invalid")


def judged(before: Sequence[Record], after: Sequence[Record]) -> list[str]:
    """Name the validators that object to what happened before the backlog was processed, and to what there was then."""
    history = History()
    for record in (*before, Drained(), *after):
        history.add(record)
    return sorted({violation.partition(":")[0] for violation in violations(history)})


# What is right.


def test_a_history_without_fault_passes() -> None:
    assert judged([SENT, ACCEPTED], [FOUND, STORED, Searched("ana", [("m-1", TEXT)], "m-1"), Length("live", 3)]) == []


def test_a_message_of_unknown_outcome_may_be_there_or_not() -> None:
    assert judged([SENT, UNKNOWN], [UNSEEN]) == []
    assert judged([SENT, UNKNOWN], [FOUND, STORED]) == []


def test_a_repeat_after_an_unknown_outcome_may_be_the_first_or_not() -> None:
    new = Answered(2, 0, "ana", "m-1", "accepted", "0.live.1-0")
    assert judged([SENT, UNKNOWN, SENT_AGAIN, DUPLICATE], [FOUND, STORED]) == []
    assert judged([SENT, UNKNOWN, SENT_AGAIN, new], [FOUND, STORED]) == []


def test_a_deleted_message_is_nowhere() -> None:
    assert judged([SENT, ACCEPTED, *DELETE], [GONE, *DONE]) == []


def test_a_message_that_is_sent_while_it_is_deleted_may_be_taken_or_not() -> None:
    not_taken = Answered(1, 0, "ana", "m-1", "deleted", "0.live.1-0", duplicate=True)
    assert judged([DELETE[0], SENT, DELETE[1], not_taken], [GONE, *DONE]) == []
    assert judged([SENT, DELETE[0], ACCEPTED, DELETE[1]], [GONE, *DONE]) == []


def test_a_delete_without_an_answer_may_have_its_effect_or_not() -> None:
    unanswered = Deleted(3, None)
    assert judged([SENT, ACCEPTED, DELETE[0], unanswered], [FOUND, STORED]) == []
    assert judged([SENT, ACCEPTED, DELETE[0], unanswered], [GONE]) == []


def test_a_user_who_was_erased_starts_anew() -> None:
    new = Answered(2, 0, "ana", "m-1", "accepted", "0.live.9-0")
    assert judged([SENT, ACCEPTED, *ERASE, SENT_AGAIN, new], [FOUND, STORED, *ERASED]) == []


def test_a_message_that_is_sent_while_its_user_is_erased_may_be_there_or_not() -> None:
    assert judged([SENT, ERASE[0], ACCEPTED, ERASE[1]], [FOUND, STORED, *ERASED]) == []
    assert judged([SENT, ERASE[0], ACCEPTED, ERASE[1]], [GONE, *ERASED]) == []


def test_poison_is_a_dead_letter() -> None:
    assert judged([POISON, ACCEPTED], [LETTER, DEAD]) == []


def test_a_bad_line_is_refused_among_good_ones() -> None:
    assert judged([SENT, BAD, BatchAnswered(1, 1, 0, 1), ACCEPTED, REFUSED], [FOUND, STORED]) == []


# What is wrong.


def test_a_lost_message_is_found() -> None:
    assert judged([SENT, ACCEPTED], [STORED]) == ["nothing_accepted_is_lost"]


def test_a_message_lost_after_its_user_started_anew_is_found() -> None:
    new = Answered(2, 0, "ana", "m-1", "accepted", "0.live.9-0")
    assert "nothing_accepted_is_lost" in judged([SENT, ACCEPTED, *ERASE, SENT_AGAIN, new], [GONE, *ERASED])


def test_a_lost_chunk_is_found() -> None:
    assert judged([SENT, ACCEPTED], [Found("ana", "m-1", 0, 2, TEXT), STORED]) == ["nothing_accepted_is_lost"]


def test_a_duplicate_is_found() -> None:
    assert judged([SENT, ACCEPTED], [FOUND, FOUND, STORED]) == ["nothing_is_there_twice"]


def test_points_of_two_different_splits_are_found() -> None:
    other_split = Found("ana", "m-1", 1, 2, "lo")
    assert "nothing_is_there_twice" in judged([SENT, ACCEPTED], [FOUND, other_split, STORED])


def test_a_message_nobody_sent_is_found() -> None:
    assert judged([], [FOUND]) == ["nothing_is_there_that_was_not_sent"]


def test_another_text_than_the_one_sent_is_found() -> None:
    other = Found("ana", "m-1", 0, 1, "goodbye")
    assert judged([SENT, ACCEPTED], [other, STORED]) == ["nothing_is_there_that_was_not_sent"]


def test_the_older_text_of_a_user_who_started_anew_is_found() -> None:
    again: list[Record] = [Sent(2, 0, "ana", "m-1", "w1w bye"), Answered(2, 0, "ana", "m-1", "accepted", "0.live.9-0")]
    assert judged([SENT, ACCEPTED, *ERASE, *again], [FOUND, STORED, *ERASED]) == ["nothing_is_there_that_was_not_sent"]


def test_a_deleted_message_that_is_back_is_found() -> None:
    assert "nothing_deleted_is_back" in judged([SENT, ACCEPTED, *DELETE], [FOUND, GONE, *DONE])
    assert "nothing_deleted_is_back" in judged([SENT, ACCEPTED, *ERASE], [FOUND, GONE, *ERASED])
    assert "nothing_deleted_is_back" in judged([*DELETE, SENT, ACCEPTED], [FOUND, STORED, *DONE])


def test_a_deleted_message_in_an_answer_is_found() -> None:
    hit = Searched("ana", [("m-1", TEXT)])
    assert judged([SENT, ACCEPTED, *DELETE], [GONE, *DONE, hit]) == ["nothing_deleted_is_back"]


def test_a_stored_message_that_no_question_finds_is_found() -> None:
    assert judged([SENT, ACCEPTED], [FOUND, STORED, Searched("ana", [], "m-1")]) == ["what_is_stored_is_found"]


def test_a_dead_letter_of_a_good_message_is_found() -> None:
    assert "only_poison_is_dead_lettered" in judged([SENT, ACCEPTED], [LETTER, DEAD])
    assert "only_poison_is_dead_lettered" in judged([], [DeadLettered("", "", "poison", "not an event")])


def test_poison_without_a_letter_of_its_own_is_found() -> None:
    assert judged([POISON, ACCEPTED], [DEAD]) == ["only_poison_is_dead_lettered"]
    assert judged([POISON, ACCEPTED], [LETTER, LETTER, DEAD]) == ["only_poison_is_dead_lettered"]


def test_a_letter_without_reason_or_of_the_wrong_class_is_found() -> None:
    assert judged([POISON, ACCEPTED], [DeadLettered("ana", "m-1", "poison", ""), DEAD]) == [
        "only_poison_is_dead_lettered"
    ]
    assert judged([POISON, ACCEPTED], [DeadLettered("ana", "m-1", "unknown", "tired"), DEAD]) == [
        "only_poison_is_dead_lettered"
    ]


def test_poison_in_qdrant_is_found() -> None:
    stored = Found("ana", "m-1", 0, 1, "w1w hemlock")
    assert "only_poison_is_dead_lettered" in judged([POISON, ACCEPTED], [stored, LETTER, DEAD])


def test_a_state_that_lies_in_the_end_is_found() -> None:
    lie = ["states_are_true_at_the_end"]
    assert judged([SENT, ACCEPTED], [FOUND, StateRead(0, "ana", "m-1", "queued")]) == lie
    assert judged([SENT, ACCEPTED], [FOUND]) == lie
    assert judged([SENT, UNKNOWN], [STORED]) == lie
    assert judged([SENT, ACCEPTED, *DELETE], [STORED, *DONE]) == lie
    assert judged([POISON, ACCEPTED], [LETTER, STORED]) == lie
    assert judged([POISON, ACCEPTED], [LETTER, StateRead(0, "ana", "m-1", "dead")]) == lie


def test_a_state_that_lies_meanwhile_is_found() -> None:
    def read(state: str, *, there: bool | None = None) -> list[Record]:
        return [Asking(9), StateRead(9, "ana", "m-1", state, there)]

    for lie in (read("unknown"), read("stored", there=False), read("dead"), read("deleted"), read("HTTP 400")):
        assert judged([SENT, ACCEPTED, *lie], [FOUND, STORED]) == ["states_are_true_throughout"], lie
    for truth in (read("queued"), read("stored", there=True), read("stored")):
        assert judged([SENT, ACCEPTED, *truth], [FOUND, STORED]) == [], truth
    assert judged([SENT, ACCEPTED, DELETE[0], *read("stored", there=False), DELETE[1]], [GONE, *DONE]) == []
    assert judged([SENT, *read("unknown"), ACCEPTED], [FOUND, STORED]) == []


def test_a_receipt_that_lies_is_found() -> None:
    wrongs: list[list[Record]] = [[], [Receipt("e-3", "message", "pending")], [Receipt("e-3", "user", "done")]]
    for wrong in wrongs:
        assert judged([SENT, ACCEPTED, *DELETE], [GONE, *wrong]) == ["receipts_are_true"]


def test_a_stream_that_is_not_trimmed_is_found() -> None:
    assert judged([], [Length("live", 1000)]) == ["streams_are_bounded"]


def test_a_good_message_that_is_refused_is_found() -> None:
    assert judged([SENT, Answered(1, 0, "ana", "m-1", "refused")], [UNSEEN]) == ["only_bad_lines_are_refused"]


def test_a_bad_line_that_is_taken_is_found() -> None:
    taken = Answered(1, 1, "", "", "accepted", "0.live.2-0")
    assert "only_bad_lines_are_refused" in judged([SENT, BAD, ACCEPTED, taken], [FOUND, STORED])


def test_a_line_without_an_answer_of_its_own_is_found() -> None:
    lines: list[Record] = [SENT, BAD, ACCEPTED]
    assert judged(lines, [FOUND, STORED]) == ["each_line_is_answered_once"]
    assert judged([*lines, REFUSED, REFUSED], [FOUND, STORED]) == ["each_line_is_answered_once"]


def test_a_batch_that_adds_up_to_something_else_is_found() -> None:
    wrong = BatchAnswered(1, 2, 0, 0)
    assert judged([SENT, BAD, wrong, ACCEPTED, REFUSED], [FOUND, STORED]) == ["each_line_is_answered_once"]


def test_a_first_message_called_a_repeat_is_found() -> None:
    repeat = Answered(1, 0, "ana", "m-1", "accepted", "0.live.1-0", duplicate=True)
    assert judged([SENT, repeat], [FOUND, STORED]) == ["duplicates_are_reported_correctly"]
    cut = FaultInjected("ingest-1>redis cut for 0.0 s", "network cut", "begun")
    assert judged([cut, SENT, repeat], [FOUND, STORED]) == []


def test_a_message_called_deleted_though_nobody_asked_for_it_is_found() -> None:
    not_taken = Answered(1, 0, "ana", "m-1", "deleted", "0.live.1-0", duplicate=True)
    assert judged([SENT, not_taken], [UNSEEN]) == ["duplicates_are_reported_correctly"]


def test_a_second_append_is_found() -> None:
    again = Answered(2, 0, "ana", "m-1", "accepted", "0.live.2-0")
    assert judged([SENT, ACCEPTED, SENT_AGAIN, again], [FOUND, STORED]) == ["a_message_has_one_position"]


def test_a_hit_of_another_user_is_found() -> None:
    others: list[Record] = [
        Sent(2, 0, "ben", "m-1", "w1w secret"),
        Answered(2, 0, "ben", "m-1", "accepted", "0.live.2-0"),
    ]
    there: list[Record] = [FOUND, STORED, Found("ben", "m-1", 0, 1, "w1w secret"), StateRead(0, "ben", "m-1", "stored")]
    assert judged([SENT, ACCEPTED, *others], [*there, Searched("ana", [("m-1", TEXT)])]) == []
    leak = Searched("ana", [("m-1", "w1w secret")])
    assert judged([SENT, ACCEPTED, *others], [*there, leak]) == ["no_user_sees_anothers_messages"]


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    history = History()
    records: list[Record] = [SENT, BAD, ACCEPTED, REFUSED, *DELETE, FOUND, STORED, LETTER, Length("live", 3), Drained()]
    for record in records:
        history.add(record)
    history.write(tmp_path / "history.jsonl")
    assert History.read(tmp_path / "history.jsonl").records == history.records


# Receipts that are read while faults are about.


def judged_receipts(*records: Record) -> bool:
    """Return whether what receipts said meanwhile is objected to."""
    return "a_receipt_that_says_done_leaves_nothing" in judged([Asking(5), *records], [])


def test_a_message_that_is_there_after_its_receipt_said_done_is_found() -> None:
    assert judged_receipts(SENT, ACCEPTED, *DELETE, Verified(5, "e-3", "done", [("m-1", TEXT)]))
    assert judged_receipts(SENT, ACCEPTED, *ERASE, Verified(5, "e-4", "done", [("m-1", "hello")]))


def test_a_receipt_that_is_not_done_says_nothing_of_what_is_there() -> None:
    assert not judged_receipts(SENT, ACCEPTED, *DELETE, Verified(5, "e-3", "pending", [("m-1", TEXT)]))
    assert not judged_receipts(SENT, ACCEPTED, *DELETE, Verified(5, "e-3", "done"))


def test_what_was_sent_while_or_after_its_user_was_erased_may_be_there() -> None:
    deleting, deleted = ERASE
    done = Verified(5, "e-4", "done", [("m-1", TEXT)])
    assert not judged_receipts(SENT, UNKNOWN, *ERASE, done)
    assert not judged_receipts(SENT, deleting, ACCEPTED, deleted, done)
    assert not judged_receipts(SENT, ACCEPTED, *ERASE, SENT_AGAIN, done)


def test_a_deleted_message_may_be_there_again_only_if_its_user_was_erased() -> None:
    done = Verified(5, "e-3", "done", [("m-1", TEXT)])
    assert judged_receipts(SENT, ACCEPTED, *DELETE, SENT_AGAIN, DUPLICATE, done)
    assert not judged_receipts(SENT, ACCEPTED, *DELETE, *ERASE, SENT_AGAIN, DUPLICATE, done)


def test_a_receipt_that_fails_or_is_done_no_longer_is_found() -> None:
    assert judged_receipts(*DELETE, Verified(5, "e-3", "failed"))
    assert judged_receipts(*DELETE, Verified(5, "e-3", "done"), Asking(6), Verified(6, "e-3", "pending"))


def test_a_receipt_that_was_asked_before_it_was_done_may_be_answered_later() -> None:
    done, pending = Verified(6, "e-3", "done"), Verified(5, "e-3", "pending")
    assert not judged_receipts(*DELETE, Asking(6), done, pending)
