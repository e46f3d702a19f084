"""How retrieval quality is measured: sets as they are published, abstention, and rankings that are replayed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.stored import stored

from benchmarks.quality import judging, measuring, metrics, rendering, replaying, sets
from memstream.retriever.ranking import calibration_of
from memstream.vectors.store import Candidates

SOME_DAY = "2024-01-01T00:00:00+00:00"


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
    (stranger, owner) = (judging.Replayed(read[n], hits).labels for n in (1, 0))
    assert (owner, stranger) == ([True, False], [False, False])


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


def test_a_report_begins_with_what_was_not_measured_and_says_what_was_not_reached() -> None:
    rows = {measure: [0.5, 0.4, 0.6] for measure in metrics.MEASURES}
    hybrid = {"calibration_error": 0.06, "categories": {"all": {"questions": 3, **rows}}, "abstention": None}
    contexts = {
        f"{kind}, {budget}": {"recall": 0.25, "abstained": 0.125, "tokens": 9} for kind in "ab" for budget in "123"
    }
    part = {"calibration_error": 0.01}
    measured = {"hybrid": hybrid, "dense": part, "keyword": part, "contexts": {"questions": 2, **contexts}}
    figures = {"recall@5": 0.7, "recall@10": 0.8, "nDCG@10": 0.6}
    report = {
        "place": "a machine",
        "model": "a model",
        "at_most": 2,
        "sets": {"beam": measured},
        "held_back": {"beam": figures},
        "ablation": {"all features": {"beam": figures}},
    }

    page = rendering.render(report)

    assert page.index("**not** measured") < page.index("| beam |")
    assert "| beam | recall@10 ≥ 81 | 50.0 (40-60) | **no** |" in page
    assert "| beam | calibration error ≤ 0.05 in each mode | 0.060 | **no** |" in page
    assert "| beam | 2 | 25.0%, 12% |" in page
    assert "| all features | 70.0 / 80.0 / 60.0 |" in page
    assert "Measured: a machine; a model." in page
