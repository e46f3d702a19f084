"""What a set is worth by coefficients fitted to the others: when its contexts abstain, and the modes of one score."""

import numpy as np
import pytest
from unit.stored import stored

from benchmarks.quality import judging, left_out, replaying, sets
from memstream.contracts.searches import Mode
from memstream.retriever.ranking import scale_of
from memstream.vectors.store import Candidates

SCALE = scale_of("none")
TEXTS = ("The ferry is here.", "I have a dog.", "It rains.", "The pier is old.")


def recording(user: str, asked_as: str = "", *, evidence: str = "0", swapped: bool = False) -> replaying.Recorded:
    """Return a recorded question whose first text has the best cosine and the best BM25 score."""
    ids = [f"{user}-{place}" for place in range(len(TEXTS))]
    messages = {name: stored(name, text) for name, text in zip(ids, TEXTS, strict=True)}
    falling = {name: 0.9 - place / 10 for place, name in enumerate(ids)}
    keyword = {name: 10 * score for name, score in falling.items()}
    judged = sets.Judged(user, "Where is the ferry?", "all", frozenset({f"{user}-{evidence}"} if evidence else ()))
    return replaying.Recorded(judged, asked_as or user, Candidates(messages, falling, keyword, 64), swapped)


def ranked(best: float, recorded: replaying.Recorded) -> judging.Ranked:
    """Return a question whose best hit has this relevance."""
    replayed = judging.Replayed(recorded, [{}], np.array([True]), is_of_documents=False)
    return judging.Ranked(replayed, np.array([best]), np.array([True]))


def test_a_context_abstains_if_the_best_hit_is_less_relevant_than_it_asks_for() -> None:
    own, unanswerable = recording("ana"), recording("ana", evidence="")
    other, swapped = recording("ana", "bob"), recording("ana", "bob", swapped=True)

    others = [ranked(best, other) for best in (0.01, 0.02, 0.02, 0.03)]
    found = judging.abstaining_contexts(
        [ranked(0.2, own), ranked(0.01, own), ranked(0.0, unanswerable), *others, ranked(0.9, swapped)], 0.03
    )

    assert found == judging.AbstainingContexts(answered=0.5, others=0.75, swapped=0.0)


def test_where_there_are_no_others_nothing_is_said_about_them() -> None:
    assert judging.abstaining_contexts([ranked(0.2, recording("ana"))], 0.03) == judging.AbstainingContexts(
        answered=0.0, others=None, swapped=None
    )
    assert judging.abstaining_contexts([ranked(0.2, recording("ana", evidence=""))], 0.03) is None


@pytest.mark.parametrize(("mode", "other"), [("dense", "keyword"), ("keyword", "dense")])
def test_in_a_mode_of_one_score_the_other_one_is_neither_used_nor_left_away(mode: Mode, other: str) -> None:
    chats = {name: [recording(f"{name}-{n}") for n in range(3)] for name in ("one", "two")}

    report = left_out.print_left_out(chats, SCALE, mode=mode, ablation=True)

    rows = report["one"]["rows"]
    assert not {"without dense", "without keyword"} & rows.keys()
    assert {"without coverage", "the score alone"} <= rows.keys()
    assert other not in report["one"]["coefficients"]["order"]
    assert rows["all features"]["measures"]["hit@1"] == 1.0
    assert rows["all features"]["contexts"]["answered"] == 0.0


def test_the_sets_of_one_collection_are_left_out_together() -> None:
    names = ("xquad", "xquad-de", "chats")
    recordings = {name: [recording(f"{name}-{n}") for n in range(3)] for name in names}

    report = left_out.print_left_out(recordings, SCALE, mode="hybrid", ablation=False)

    assert list(report) == list(names)
    assert report["xquad"]["coefficients"] == report["xquad-de"]["coefficients"]
    with pytest.raises(ValueError, match="two at least"):
        left_out.print_left_out({name: recordings[name] for name in names[:2]}, SCALE, mode="hybrid", ablation=False)
