"""`memstream calibrate`: from judged questions to a file, and from the file to what a relevance is."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from e2e.test_command import Ran, memstream
from e2e.test_life import living, say
from exchanges import search
from installation import Installation, installed

from memstream.retriever.ranking import (
    Calibration,
    calibration_of,
    matrix_of_signals,
    read_calibrations,
    scale_of,
    shipped_spaces,
    write_calibrations,
)
from memstream.retriever.ranking.models import INTERCEPT

DEFAULT = calibration_of("none")
NAME = "wordllama-256_256_t1"
THINGS = {
    "ana": (
        *("spare key", "passport", "umbrella", "blue kettle", "camera", "drill", "tent"),
        *("guitar", "ladder", "sewing box", "telescope", "violin", "printer", "skateboard"),
    ),
    "ben": (
        *("hammer", "chess board", "rain coat", "bicycle pump", "torch", "map", "wool blanket"),
        *("trumpet", "fishing rod", "paint brush", "globe", "toaster", "yoga mat", "stamp album"),
    ),
    "cem": (
        *("iron", "picnic basket", "binoculars", "garden hose", "compass", "teapot", "scarf"),
        *("drum", "wheelbarrow", "glue gun", "microscope", "fan", "hockey stick", "piggy bank"),
    ),
}
"""What each user has: nobody has what another one has, so nobody can answer another's questions."""
USERS = tuple(THINGS)
PLACES = ("shed", "attic", "cellar", "garage", "hallway", "kitchen drawer", "wardrobe", "car boot")
IDLE = (
    *("I slept badly.", "It rained all day long.", "Lunch was good today, thanks for asking."),
    *("See you on Friday!", "My sister called about the weekend.", "The train was late again this morning."),
)


def written(file: Path, rows: list[Any]) -> Path:
    """Write JSON lines."""
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return file


def histories() -> list[dict[str, Any]]:
    """Tell for each user where each thing is, and some more between."""
    chance = Random(4)  # noqa: S311 - a seeded sample, not a secret
    return [
        {"user_id": user, "message_id": f"{user}-{thing}-{n}", "conversation_id": f"{user}-{place % 3}", "text": text}
        for user in USERS
        for place, thing in enumerate(THINGS[user])
        for n, text in enumerate((f"I put the {thing} into the {chance.choice(PLACES)}.", *chance.sample(IDLE, 2)))
    ]


def judged() -> list[dict[str, Any]]:
    """Ask each user for each thing, and for one that nobody has told about."""
    unanswered = [{"user_id": user, "question": "Where did I put the sleigh?", "evidence": []} for user in USERS]
    return unanswered + [
        {"user_id": user, "question": f"Where did I put the {thing}?", "evidence": [f"{user}-{thing}-0"]}
        for user in USERS
        for thing in THINGS[user]
    ]


def expected(calibration: Calibration, hits: list[dict[str, Any]]) -> list[float]:
    """Return the relevances that a calibration gives to all hits of a question, by their signals."""
    signals = [hit["signals"] for hit in hits]
    model = calibration.model(dense="dense" in signals[0], keyword="keyword" in signals[0])
    relevances: list[float] = model.relevances(matrix_of_signals(model.features, signals, calibration.scale)).tolist()
    return relevances


class Site:
    """A stack whose retriever can be started with other settings."""

    def __init__(self, parts: Installation, settings: dict[str, str]) -> None:
        self.parts = parts
        self.settings = settings
        self.home = parts.plan.directory.path

    async def calibrate(self, questions: Path, out: Path, *options: str) -> Ran:
        """Run the command."""
        return await memstream("calibrate", questions, out, *options, "--home", self.home)

    async def restart(self, file: Path | None) -> None:
        """Start the retriever anew, with these calibrations."""
        await self.parts.stop("retriever-1")
        self.settings.clear()
        if file is not None:
            self.settings["MEMSTREAM_RETRIEVER_CALIBRATIONS"] = str(file)
        await self.parts.start("retriever-1")

    async def hits(self, question: str = "Where did I put the camera?", **fields: str) -> list[dict[str, Any]]:
        """Return all hits of one of the questions."""
        async with self.parts.client("retriever-1") as retriever:
            answer = await search(retriever, "ana", question, limit=100, **fields)
        hits: list[dict[str, Any]] = answer["hits"]
        return hits


@pytest_asyncio.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run a stack of this file's own, which holds the histories."""
    home = tmp_path_factory.mktemp("calibrated")
    settings: dict[str, str] = {}
    async with installed(Installation(home, settings={"retriever-1": settings})) as parts:
        await parts.start("redis", "qdrant", "embeddings")
        await parts.start("keys")
        await parts.start("ingest-1", "embedder-1", "retriever-1")
        (home / "stack.json").write_text(parts.info.model_dump_json())
        sent = await memstream("send", written(home / "messages.jsonl", histories()), "--wait", "--home", home)
        assert sent.code == 0, sent.err
        yield Site(parts, settings)


@pytest_asyncio.fixture(scope="module")
async def fitted(site: Site) -> tuple[Ran, Path]:
    """Fit to the questions, next to the calibration of another space."""
    out = site.home / "calibrations.json"
    write_calibrations(out, {"other_3_t1": DEFAULT})
    return await site.calibrate(written(site.home / "questions.jsonl", judged()), out), out


async def test_it_writes_a_line_for_each_mode_and_keeps_other_spaces(fitted: tuple[Ran, Path]) -> None:
    ran, out = fitted
    calibrations = read_calibrations(out)

    assert (ran.code, ran.err) == (0, "")
    assert [line.split(":")[0] for line in ran.out.splitlines()] == [
        *("hybrid", "dense", "keyword"),
        *("hybrid", "dense", "keyword"),
        f"{NAME} is in {out}",
    ]
    assert calibrations.keys() == {NAME, "other_3_t1"}
    assert calibrations["other_3_t1"] == DEFAULT
    mine = calibrations[NAME]
    assert mine.scale == scale_of(NAME)
    assert mine.dense.order["dense"] > 0 < mine.keyword.order["keyword"]
    assert "keyword" not in mine.dense.order
    assert "dense" not in mine.keyword.order


async def test_each_question_with_an_answer_is_also_asked_as_another_user(fitted: tuple[Ran, Path]) -> None:
    ran, _ = fitted
    asked = 2 * sum(map(len, THINGS.values())) + len(USERS)

    assert f"hybrid: {asked} questions asked" in ran.out.splitlines()


async def test_what_is_not_there_is_less_relevant_than_what_is(site: Site, fitted: tuple[Ran, Path]) -> None:
    await site.restart(fitted[1])
    try:
        there, none = await site.hits(), await site.hits("Where did I put the sleigh?")
    finally:
        await site.restart(None)

    assert there[0]["relevance"] > 2 * none[0]["relevance"]


async def test_the_help_says_what_questions_without_evidence_are() -> None:
    ran = await memstream("calibrate", "--help")
    text = " ".join(ran.out.split())

    assert ran.code == 0
    assert "At least 30 questions with evidence are needed" in text
    assert "without evidence have no answer" in text
    assert "asked as another user" in text


async def test_the_retriever_takes_relevance_from_the_file(site: Site, fitted: tuple[Ran, Path]) -> None:
    modes = ("hybrid", "dense", "keyword")
    shipped = [await site.hits(mode=mode) for mode in modes]
    await site.restart(fitted[1])
    try:
        answers = [await site.hits(mode=mode) for mode in modes]
    finally:
        await site.restart(None)

    mine = read_calibrations(fitted[1])[NAME]
    for before, hits in zip(shipped, answers, strict=True):
        assert hits[0]["message_id"] == "ana-camera-0"
        assert [hit["relevance"] for hit in hits] == pytest.approx(expected(mine, hits))
        assert hits[0]["relevance"] > 0.5 > hits[-1]["relevance"]
        assert hits[0]["relevance"] != pytest.approx(before[0]["relevance"], abs=0.01)


async def test_a_file_for_another_space_changes_nothing(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    write_calibrations(other, dict.fromkeys({"other_3_t1", *shipped_spaces()} - {NAME}, DEFAULT))
    shipped = await site.hits()
    await site.restart(other)
    try:
        assert await site.hits() == shipped
    finally:
        await site.restart(None)


async def test_a_stack_is_started_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "calibrations.json"
    lower = {**DEFAULT.both.relevance, INTERCEPT: DEFAULT.both.relevance[INTERCEPT] - 1.0}
    mine = replace(DEFAULT, both=replace(DEFAULT.both, relevance=lower))
    write_calibrations(file, {NAME: mine})

    async with living(tmp_path / "home", "--calibrations", str(file)) as life:
        await say(life)
        (hits, *_) = await life.hits()

    assert [hit["relevance"] for hit in hits] == pytest.approx(expected(mine, hits))


async def test_no_stack_is_started_with_a_file_that_is_not_there(tmp_path: Path) -> None:
    ran = await memstream("up", "--home", tmp_path / "home", "--calibrations", tmp_path / "none.json")

    assert ran.code == 2
    assert "--calibrations" in ran.err


def a_row(**fields: object) -> dict[str, Any]:
    """Make a line that is right but for some fields; None takes one away."""
    row = {"user_id": "ana", "question": "Where did I put the tent?", "evidence": ["ana-tent-0"], **fields}
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (a_row(question=None), "question: Field required"),
        (a_row(evidence=None), "evidence: Field required"),
        (a_row(evidence="ana-tent-0"), "evidence: Input should be a valid"),
        (a_row(user_id="*"), "user_id: "),
        (a_row(question="  "), "question: "),
        ("Where is the tent?", "the line: Invalid JSON"),
        (a_row(evidence=["ana-tent-0", "ana-boat"]), "evidence: ana has no message ana-boat"),
        (a_row(user_id="ben"), "evidence: ben has no message ana-tent-0"),
        (a_row(user_id="nobody"), "evidence: nobody has no message ana-tent-0"),
    ],
)
async def test_a_bad_line_is_named_with_its_fault(site: Site, tmp_path: Path, row: object, says: str) -> None:
    file, out = written(tmp_path / "questions.jsonl", [*judged(), "", row]), tmp_path / "out.json"

    ran = await site.calibrate(file, out)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"memstream: {file}, line {len(judged()) + 2}: {says}")
    assert len(ran.err.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize("count", [0, 29])
async def test_too_few_questions_are_refused_and_those_without_evidence_do_not_count(
    site: Site, tmp_path: Path, count: int
) -> None:
    rows = [*[row for row in judged() if row["evidence"]][:count], *(a_row(evidence=[]) for _ in range(5))]

    ran = await site.calibrate(written(tmp_path / "questions.jsonl", rows), tmp_path / "out.json")

    assert ran.code == 1
    assert f"has {count} questions with evidence; fewer than 30 say too little" in ran.err


async def test_evidence_that_bears_on_nothing_is_refused(site: Site, tmp_path: Path) -> None:
    idle = [row | {"evidence": [f"{one[:-1]}1" for one in row["evidence"]]} for row in judged()]

    ran = await site.calibrate(written(tmp_path / "questions.jsonl", idle), tmp_path / "out.json")

    assert ran.code == 1
    assert ran.err.startswith("memstream: mode hybrid: what answers a question has no better scores than what doesn't")
    assert not (tmp_path / "out.json").exists()


async def test_files_that_can_not_be_read_or_written_are_named(site: Site, tmp_path: Path) -> None:
    questions = written(tmp_path / "questions.jsonl", judged())
    bad = tmp_path / "bad.json"
    bad.write_text("[]")

    for ran, says in [
        (
            await site.calibrate(tmp_path / "none.jsonl", tmp_path / "out.json"),
            "none.jsonl can't be read: No such file",
        ),
        (await site.calibrate(questions, tmp_path / "none" / "out.json"), "none/out.json can't be written"),
        (await site.calibrate(questions, bad), f"the calibrations {bad}: the file: Input should be"),
    ]:
        assert (ran.code, ran.out) == (1, "")
        assert says in ran.err
        assert len(ran.err.splitlines()) == 1
    assert bad.read_text() == "[]"


async def test_without_embeddings_nothing_is_fitted(site: Site, tmp_path: Path) -> None:
    questions = written(tmp_path / "questions.jsonl", judged())
    await site.parts.kill("embeddings")
    # A new one remembers no question.
    await site.parts.kill("retriever-1")
    await site.parts.start("retriever-1")
    try:
        ran = await site.calibrate(questions, tmp_path / "out.json")
    finally:
        await site.parts.start("embeddings")

    assert ran.code == 1
    assert "mode hybrid: the searches were answered by keywords alone" in ran.err
