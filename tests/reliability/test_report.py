"""The figures are those of the histories."""

import json
from pathlib import Path

from reliability.history import Answered, Deleted, Deleting, FaultInjected, History, Record, Sent
from reliability.plans import draw_plan
from reliability.report import Report, outcome_of

RECORDS: list[Record] = [
    Sent(1, 0, "ana", "m-1", "hello"),
    Answered(1, 0, "ana", "m-1", "unknown"),
    Sent(2, 0, "ana", "m-1", "hello"),
    Sent(2, 1, "", "", "[]", valid=False),
    Answered(2, 0, "ana", "m-1", "accepted"),
    Deleting(3, "ana", "m-1"),
    Deleted(3, "e-3"),
    Deleting(4, "ana", None),
    Deleted(4, None),
    FaultInjected("kill -9 redis", "kill", "begun"),
    FaultInjected("kill -9 redis", "kill", "ended"),
    FaultInjected("after read: kill -9", "after read", "begun"),
    FaultInjected("after read: kill -9", "after read", "missed"),
]


def report(*violations: str) -> Report:
    """Make a report of two runs, one of which may have failed."""
    history = History()
    for record in RECORDS:
        history.add(record)
    return Report([outcome_of(draw_plan(7), history, found, 2.0) for found in ((), violations)])


def test_messages_are_counted_once_and_each_time_they_went_out() -> None:
    totals = json.loads(report().json())
    assert (totals["runs"], totals["messages"], totals["sent"]) == (2, 2, 4)
    assert (totals["deletes"], totals["erasures"]) == (2, 0)


def test_faults_whose_moment_never_came_are_told_apart() -> None:
    totals = json.loads(report().json())
    assert (totals["faults"], totals["missed"]) == ({"kill": 2}, {"after read": 2})


def test_a_violation_is_told_with_its_seed(tmp_path: Path) -> None:
    found = report("nothing_accepted_is_lost: m-1")
    found.write(tmp_path / "new" / "report.json")
    assert json.loads((tmp_path / "new" / "report.json").read_text())["violations"] == [
        "short 7: nothing_accepted_is_lost: m-1"
    ]
    assert "with violations: 1" in (tmp_path / "new" / "report.txt").read_text()
