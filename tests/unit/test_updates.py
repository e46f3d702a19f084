"""A newer statement goes before the one it updates."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.findings import Finding
from memstream.retriever.ranking import Ranked
from memstream.retriever.relevance import Signals
from memstream.retriever.updates import AMONG, newest_first

OLD = "My deadline for the peer review is April 20."
NEW = "The deadline for my peer review has moved to April 25."


def said(name: str, text: str, day: int, relevance: float, **fields: Any) -> Finding:  # noqa: ANN401 - any field
    """Make a finding of what the user said on a day."""
    payload = {
        "message_id": name,
        "text": text,
        "occurred_at": f"2024-04-{day:02}T09:00:00+00:00",
        "role": "user",
        "speaker": None,
        "kind": "message",
        **fields,
    }
    return Finding("acme", "ana", Ranked(payload, Signals(0.5, coverage=0.5), relevance))


def names(findings: list[Finding]) -> list[str]:
    """Name findings by their messages."""
    return [str(finding.payload["message_id"]) for finding in findings]


def test_what_has_moved_goes_before_what_it_was_and_says_so() -> None:
    order, scores = newest_first([said("old", OLD, 1, 0.8), said("new", NEW, 2, 0.6), said("other", "Hm.", 3, 0.1)])

    assert names(order) == ["new", "old", "other"]
    assert scores == [0.8, 0.8, 0.1]
    assert [finding.notes for finding in order] == [{"updates": 1.0}, {}, {}]
    assert order[0].ranked.relevance == 0.6


@pytest.mark.parametrize(
    "newer",
    [
        said("new", NEW, 1, 0.6),
        said("new", "My deadline for the peer review is April 25.", 2, 0.6),
        said("new", "I have just moved house.", 2, 0.6),
        said("new", NEW, 2, 0.6, speaker="Ben"),
        said("new", NEW, 2, 0.6, role="assistant"),
        said("new", NEW, 2, 0.6, kind="document"),
        replace(said("new", NEW, 2, 0.6), user_id="*"),
        replace(said("new", NEW, 2, 0.6), ranked=replace(said("", NEW, 2, 0.6).ranked, signals=Signals(0.5))),
    ],
    ids=["not newer", "no change", "nothing in common", "speaker", "assistant", "document", "shared", "says less"],
)
def test_whatever_does_not_update_the_other_stays_behind_it(newer: Finding) -> None:
    findings = [said("old", OLD, 1, 0.8), newer]

    assert newest_first(findings) == (findings, [0.8, 0.6])


def test_what_an_assistant_or_a_document_tells_is_not_updated_by_another_of_it() -> None:
    for fields in ({"role": "assistant"}, {"kind": "document"}):
        findings = [said("old", OLD, 1, 0.8, **fields), said("new", NEW, 2, 0.6, **fields)]

        assert newest_first(findings)[0] == findings


def test_what_is_far_behind_stays_there() -> None:
    findings = [said("old", OLD, 1, 0.9), *(said(str(n), "Hm.", 3, 0.8) for n in range(AMONG - 1))]

    assert newest_first([*findings, said("new", NEW, 2, 0.7)])[0][:AMONG] == findings


texts = st.sampled_from([OLD, NEW, "The peer review deadline is new: May 2.", "Hm.", ""])
findings = st.lists(st.tuples(texts, st.integers(1, 5), st.floats(0, 1)), max_size=6).map(
    lambda rows: sorted(
        (said(str(place), text, day, relevance) for place, (text, day, relevance) in enumerate(rows)),
        key=lambda one: -one.ranked.relevance,
    )
)


@given(findings)
def test_nothing_is_lost_and_nothing_counts_for_less(given_order: list[Finding]) -> None:
    order, scores = newest_first(given_order)

    assert sorted(names(order)) == sorted(names(given_order))
    assert scores == sorted(scores, reverse=True)
    assert all(score >= finding.ranked.relevance for finding, score in zip(order, scores, strict=True))
    # Only what tells of a change has moved.
    still = [name for name, one in zip(names(order), order, strict=True) if not one.notes]
    assert still == [name for name in names(given_order) if name in still]
