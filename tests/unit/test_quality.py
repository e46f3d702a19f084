"""How retrieval quality is measured: sets as they are published, abstention, and rankings that are replayed."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from unit.stored import stored

from benchmarks.quality import (
    calibration,
    judging,
    left_out,
    measuring,
    metrics,
    replaying,
    sets,
    strangers,
)
from benchmarks.quality.fitted import fit_calibration
from memstream.retriever.ranking import CosineScale, JudgedCandidates, calibration_of, unfitted
from memstream.vectors.store import Candidates

SOME_DAY = "2024-01-01T00:00:00+00:00"
SCALE = CosineScale(0.1, 0.5)


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def write_rows(file: Path, *lines: object) -> None:
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def folder(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


def test_a_folder_of_messages_and_questions_is_read_as_it_stands(tmp_path: Path) -> None:
    chats = folder(tmp_path, "chats")
    write_rows(chats / "messages.jsonl", {"user_id": "ana", "message_id": "m-1", "text": "Hi"})
    write_rows(
        chats / "questions.jsonl",
        {"user_id": "ana", "question": "Who?", "evidence": ["m-1"], "category": "one"},
        {"user_id": "ana", "question": "Why?", "evidence": []},
    )

    read = sets.read_set(chats, tmp_path)

    assert (read.name, read.messages) == ("chats", chats / "messages.jsonl")
    assert [(one.question, one.category, one.evidence) for one in read.questions] == [
        ("Who?", "one", frozenset({"m-1"})),
        ("Why?", "all", frozenset()),
    ]
    assert read.owners() == {"m-1": "ana"}


def test_beirs_documents_become_one_users_and_judgements_of_zero_are_none(tmp_path: Path) -> None:
    facts, work = folder(tmp_path, "facts"), folder(tmp_path, "work")
    write_rows(
        facts / "corpus.jsonl",
        {"_id": "7", "title": "Mice", "text": "They sleep by day."},
        {"_id": "8", "title": "Owls", "text": "They don't."},
    )
    write_rows(facts / "queries.test.jsonl", *({"_id": name, "text": f"{name}?"} for name in ("a", "b", "c")))
    (facts / "qrels.test.tsv").write_text("query-id\tcorpus-id\tscore\na\t7\t1\na\t8\t1\nb\t8\t0\nc\t8\t2\n")

    read = sets.read_set(facts, work)

    assert {one.question: one.evidence for one in read.questions} == {"a?": {"facts/7", "facts/8"}, "c?": {"facts/8"}}
    assert {(one.user_id, one.category) for one in read.questions} == {("facts", "all")}
    assert rows(read.messages)[0] == {
        "user_id": "facts",
        "message_id": "facts/7",
        "role": "user",
        "kind": "document",
        "text": "Mice\n\nThey sleep by day.",
        "occurred_at": SOME_DAY,
    }


def test_questions_in_every_language_are_about_the_paragraphs_in_english(tmp_path: Path) -> None:
    squad, work = folder(tmp_path, "squad"), folder(tmp_path, "work")
    for language, context in (("en", "Mice sleep."), ("de", "Mäuse schlafen.")):
        paragraphs = [
            {"context": f"{context} {place}", "qas": [{"question": f"{language}{place}?", "answers": []}]}
            for place in range(2)
        ]
        articles = [{"title": "one", "paragraphs": paragraphs[:1]}, {"title": "two", "paragraphs": paragraphs[1:]}]
        (squad / f"xquad.{language}.json").write_text(json.dumps({"data": articles}))

    read = sets.read_set(squad, work)

    assert [row["text"] for row in rows(read.messages)] == ["Mice sleep. 0", "Mice sleep. 1"]
    assert {(one.question, one.category, *one.evidence) for one in read.questions} == {
        ("en0?", "en", "squad/0"),
        ("en1?", "en", "squad/1"),
        ("de0?", "asked in de", "squad/0"),
        ("de1?", "asked in de", "squad/1"),
    }


def test_a_folder_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"questions\.jsonl"):
        sets.read_set(folder(tmp_path, "else"), tmp_path)


def test_abstention_counts_what_the_best_hits_would_let_through() -> None:
    # Relevance and cosine of the best hit: by the first, one of four strangers passes where 95% of the owners do.
    own = [(0.5 + place / 100, 0.3) for place in range(20)]
    others = [(0.1, 0.1), (0.2, 0.3), (0.3, 0.1), (0.9, 0.3)]

    told = judging.abstention_of(own, others, [(0.0, 0.3), (1.0, 0.3)])

    assert told is not None
    assert told.auroc == 0.75
    assert told.false_accepts == 0.25
    assert told.unanswerable_auroc == 0.5
    assert told.cosine_auroc == pytest.approx(0.75)
    assert (told.cosine_true_accepts, told.cosine_false_accepts) == (1.0, 0.5)


@pytest.mark.parametrize(("own", "others"), [([], [(0.1, 0.1)]), ([(0.1, 0.1)], [])])
def test_where_nobody_else_can_be_asked_there_is_no_abstention(
    own: list[tuple[float, float]], others: list[tuple[float, float]]
) -> None:
    assert judging.abstention_of(own, others, []) is None


def test_measures_are_those_of_the_books() -> None:
    judged = metrics.Judgement("all", [False, True, False, True], 3)

    assert metrics.recall(judged, 2) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank(judged) == 0.5
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert metrics.ndcg(judged) == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / ideal)
    assert metrics.auroc(np.array([1.0, 2.0]), np.array([0.0, 1.0])) == 0.875
    probabilities, hits = np.array([0.05, 0.05, 0.95, 1.0]), np.array([False, True, True, True])
    assert metrics.calibration_error(probabilities, hits) == pytest.approx(0.45 / 2 + 0.025 / 2)


def test_what_was_written_is_read_and_ranked_the_same(tmp_path: Path) -> None:
    candidates = Candidates(
        {"1": stored("a", "In May", metadata={"mood": ["calm", 1]}), "2": stored("b", "No")},
        {"1": 0.5, "2": 0.1},
        {"1": 3.0},
        64,
    )
    judged = sets.Judged("ana", "When was it?", "all", frozenset({"a"}))
    recorded = [
        replaying.Recorded(judged, "ana", candidates),
        replaying.Recorded(judged, "ben", Candidates({}, {}, {}, 100)),
    ]
    file = tmp_path / "set.json"

    replaying.write(file, "model", recorded)
    read = replaying.read(file)

    assert replaying.model_of(file) == "model"
    assert read == recorded
    assert [one.own for one in read] == [True, False]
    hits = replaying.replay(read[0], calibration_of("none"))
    assert hits == replaying.replay(recorded[0], calibration_of("none"))
    assert [hit.message.message_id for hit in hits] == ["a", "b"]


def test_evidence_is_none_for_another_user() -> None:
    mine = recording("ana", "In May", "No", evidence="0")
    for_ben = replace(mine, asked_as="ben")

    (owner, stranger) = judging.replay_all({"chats": [mine, for_ben]}, "hybrid", SCALE)["chats"]

    assert [one["dense"] for one in owner.signals] == [0.8, 0.9]
    assert (owner.labels.tolist(), stranger.labels.tolist()) == ([False, True], [False, False])


@pytest.mark.parametrize(
    "content",
    [
        "no JSON",
        "[]",
        '{"model": "m", "payloads": {}, "questions": []}',
        '{"model": "m", "messages": {}, "questions": [{"question": "?"}]}',
        '{"model": "m", "messages": {"1": {"text": "Hi"}}, "questions": []}',
    ],
)
def test_a_file_that_is_no_recording_of_this_version_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "chats.json"
    file.write_text(content)

    with pytest.raises(replaying.UnreadableRecordingError, match=r"chats\.json was not recorded by this version"):
        replaying.read(file)


def test_the_same_questions_are_drawn_by_the_same_seed_and_only_those_in_the_memorys_language(tmp_path: Path) -> None:
    questions = [sets.Judged("ana", f"{place}?", "one", frozenset({"a"})) for place in range(9)]
    others = [sets.Judged("ana", "?", "asked in de", frozenset({"a"})), sets.Judged("ana", "?", "one", frozenset())]
    one = sets.JudgedSet("chats", tmp_path / "messages.jsonl", [*questions, *others])

    drawn = measuring.drawn(one, 5, seed=7)

    assert len(drawn) == len(set(drawn)) == 5
    assert set(drawn) < set(questions)
    assert drawn == measuring.drawn(one, 5, seed=7) != measuring.drawn(one, 5, seed=8)
    assert measuring.drawn(one, 9, seed=7) == questions


def test_where_much_is_evidence_the_first_hits_are_what_counts() -> None:
    judged = metrics.Judgement("meeting", [True, False, True, True, False, True], 40)

    assert metrics.is_first(judged) == 1.0
    assert metrics.precision(judged) == pytest.approx(3 / 5)
    assert metrics.is_first(metrics.Judgement("meeting", [], 40)) == 0.0
    assert metrics.precision(metrics.Judgement("meeting", [True], 40)) == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    ("share", "count", "low", "high"), [(0.5, 10, 0.237, 0.763), (1.0, 10, 0.722, 1.0), (0.0, 0, 0.0, 1.0)]
)
def test_a_shares_interval_is_wilsons(share: float, count: int, low: float, high: float) -> None:
    assert metrics.wilson(share, count) == pytest.approx((low, high), abs=0.001)


def test_bins_of_equally_many_see_what_bins_of_equal_width_hide() -> None:
    # Nine in ten are rightly near zero.
    said = np.array([0.0] * 18 + [0.9, 0.9])
    true = np.array([False] * 20)

    assert metrics.calibration_error(said, true) == pytest.approx(0.09)
    assert metrics.equal_mass_error(said[18:], true[18:]) == pytest.approx(0.9)
    assert metrics.equal_mass_error(np.array([0.2, 0.4, 0.6, 0.8]), np.array([0, 1, 0, 1], bool), 2) == pytest.approx(
        (abs(0.3 - 0.5) + abs(0.7 - 0.5)) / 2
    )


def test_calibration_is_judged_over_the_hits_that_somebody_uses() -> None:
    told = calibration.calibration_figures([([0.9, 0.8, 0.01], [True, False, False]), ([0.3, 0.02], [False, False])])

    assert told.used_hits == pytest.approx((0.1 + 0.8 + 0.3) / 3)
    assert told.first_hits == pytest.approx((0.1 + 0.3) / 2)
    assert (told.sure, told.sure_true) == (2, 0.5)
    assert told.sure_said == pytest.approx(0.85)


def test_without_a_hit_that_somebody_uses_there_is_no_error_of_them() -> None:
    told = calibration.calibration_figures([([0.01], [False])])

    assert (told.used_hits, told.sure, told.sure_said, told.sure_true) == (None, 0, None, None)


@pytest.mark.parametrize(
    ("question", "swapped"),
    [
        ("What did Ann bake for Bo?", "What did Uma bake for Rob?"),
        ("What is Ann's job?", "What is Uma's job?"),
        ("Who met Ann Lee?", "Who met Kit?"),
        ("Where is Anna?", None),
        ("Where is it?", None),
    ],
)
def test_the_names_of_a_users_speakers_become_those_of_anothers(question: str, swapped: str | None) -> None:
    assert strangers.swap_names(question, ["Ann", "Bo", "Ann Lee"], ["Uma", "Rob", "Kit"]) == swapped


def test_with_fewer_others_names_are_used_again_and_without_any_nothing_is_swapped() -> None:
    assert strangers.swap_names("Ann and Bo?", ["Ann", "Bo"], ["Uma"]) == "Uma and Uma?"
    assert strangers.swap_names("Ann and Bo?", ["Ann", "Bo"], []) is None


def test_questions_with_an_answer_are_asked_as_another_user_with_and_without_the_names(tmp_path: Path) -> None:
    file = tmp_path / "messages.jsonl"
    write_rows(
        file,
        {"user_id": "one", "message_id": "a", "speaker": "Ann", "text": "Hi"},
        {"user_id": "two", "message_id": "b", "speaker": "Uma", "text": "Hi"},
        {"user_id": "two", "message_id": "c", "text": "Hi"},
    )
    questions = [
        sets.Judged("one", "Where is Ann?", "all", frozenset({"a"})),
        sets.Judged("two", "Where is it?", "all", frozenset({"b"})),
        sets.Judged("two", "Who?", "all", frozenset()),
    ]

    asked = list(strangers.asked_as_strangers(sets.JudgedSet("chats", file, questions), Random(1)))  # noqa: S311

    assert [(one.question.question, one.user, one.swapped) for one in asked] == [
        ("Where is Ann?", "two", False),
        ("Where is Uma?", "two", True),
        ("Where is it?", "one", False),
    ]


def test_names_that_are_swapped_are_no_part_of_the_other_strangers() -> None:
    told = judging.abstention_of([(0.9, 0.3)] * 4, [(0.1, 0.1)], [], [(0.9, 0.3), (0.5, 0.3)])

    assert told is not None
    assert (told.auroc, told.false_accepts) == (1.0, 0.0)
    assert (told.swapped_auroc, told.swapped_false_accepts) == (0.75, 0.5)


def recording(
    user: str, *texts: str, evidence: str, category: str = "all", kind: str = "message"
) -> replaying.Recorded:
    """Return a recorded question: by the cosine the first of the texts is best, by BM25 the second, then the first."""
    ids = [f"{user}-{place}" for place in range(len(texts))]
    messages = {name: stored(name, text, kind=kind) for name, text in zip(ids, texts, strict=True)}
    dense = {name: 0.9 - place / 10 for place, name in enumerate(ids)}
    keyword = {name: 9.0 - place for place, name in enumerate([ids[1], ids[0], *ids[2:]])}
    judged = sets.Judged(user, "Where is the ferry?", category, frozenset({f"{user}-{evidence}"}))
    return replaying.Recorded(judged, user, Candidates(messages, dense, keyword, 64))


def test_an_order_without_a_fit_is_that_of_a_messages_best_chunk() -> None:
    candidates = Candidates(
        {"1": stored("a"), "2": stored("b"), "3": stored("a")}, {"1": 0.1, "2": 0.5, "3": 0.9}, {"2": 3.0}, 64
    )
    one = replaying.Recorded(sets.Judged("ana", "?", "all", frozenset()), "ana", candidates)

    assert left_out.messages_by(one, candidates.dense or {}) == ["a", "b"]
    assert left_out.messages_by(one, left_out.fused(one)) == ["b", "a"]


def test_each_set_is_judged_by_what_was_fitted_to_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ("The ferry is here.", "I have a dog.", "It rains.", "The pier is old.")
    chats = {name: [recording(f"{name}-{n}", *texts, evidence="0") for n in range(3)] for name in ("one", "two")}
    chats["one"].append(recording("one-0", *texts, evidence="0", category="asked in de"))

    report = left_out.print_left_out(chats, SCALE, mode="hybrid", ablation=True)

    assert set(report) == {"one", "two"}
    assert report["one"]["coefficients"].keys() == {"order", "relevance"}
    rows = report["one"]["rows"]
    assert list(rows)[:3] == ["all features", "asked in de", "without dense"]
    assert rows["the cosine alone"]["measures"]["hit@1"] == 1.0
    assert rows["BM25 alone"]["measures"]["hit@1"] == 0.0
    assert rows["all features"]["measures"]["recall@5"] == 1.0
    assert "one, fitted to the others" in capsys.readouterr().out


def test_questions_in_other_languages_are_judged_apart() -> None:
    texts = ("The ferry is here.", "I have a dog.")
    asked = [recording("one", *texts, evidence="0", category=name) for name in ("all", "asked in de", "asked in es")]
    replayed = judging.replay_all({"chats": asked}, "dense", SCALE)["chats"]

    judged = left_out.judged_by(judging.rank_by(replayed, unfitted(SCALE).dense, SCALE))

    assert list(judged) == ["all features", "asked in de", "asked in es"]


def test_all_collections_weigh_the_same_but_documents_half(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(user: str, answerable: int, strangers: int, **fields: str) -> list[replaying.Recorded]:
        mine = [recording(user, "The ferry is here.", "No", evidence="0", **fields)] * answerable
        return mine + [replace(one, asked_as="cem") for one in mine[:1] * strangers]

    sets_by_name = {"one": asked("ana", 4, 2), "two": asked("ben", 1, 1), "facts": asked("dan", 2, 1, kind="document")}
    replayed = judging.replay_all(sets_by_name, "hybrid", SCALE)

    questions: list[JudgedCandidates] = []
    monkeypatch.setattr(judging, "fit", lambda given, *_, **__: questions.extend(given))

    judging.fit_model(replayed, "hybrid", SCALE)

    assert [one.weight for one in questions] == [0.25] * 4 + [0.5] * 2 + [1.0, 1.0] + [0.25] * 2 + [0.5]
    assert [one.is_answerable for one in questions] == [True] * 4 + [False] * 2 + [True, False] + [True] * 2 + [False]


def test_one_set_alone_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="two at least"):
        left_out.print_left_out({"one": []}, SCALE, mode="hybrid", ablation=False)


def test_a_fit_to_recordings_has_a_model_for_each_mode() -> None:
    texts = ("The ferry is here.", "I have a dog.", "It rains.", "The pier is old.")

    found = fit_calibration({"one": [recording(f"one-{n}", *texts, evidence="0") for n in range(3)]}, SCALE)

    assert found.scale == SCALE
    assert not found.is_default
    assert found.both.order["dense"] > 0.0 < found.keyword.order["keyword"]
    assert "keyword" not in found.dense.order
