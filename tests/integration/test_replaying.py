"""A recording of what Qdrant proposed, ranked again, gives what the service gives."""

from pathlib import Path

import pytest
from exchanges import answered, line, post_lines, search
from running_stack import RunningStack

from benchmarks.quality import replaying, sets
from memstream.contracts.searches import Mode
from memstream.retriever.ranking import calibration_of

DIMENSIONS = 384
SAID = (
    *("I painted a sunset by the lake.", "Nice! When was that?", "Last Friday, with the kids.", "I have two dogs."),
    *("The choir meets on Mondays.", "Did you finish the book?", "Yes!", "The ferry leaves at nine."),
)
ASKED = ("When did Zora paint the sunset?", "How many dogs does Zora have?", "What was said in May 2024?", "ferry")


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
async def test_a_replayed_question_has_the_services_hits_with_their_relevance(
    stack: RunningStack, tmp_path: Path, user: str, mode: Mode
) -> None:
    lines = [
        line(
            user,
            f"{user}-{n}",
            text,
            conversation_id=f"c{n % 2}",
            speaker="Zora" if n % 4 else "Bo",
            occurred_at=f"2024-0{4 + n % 2}-01T00:0{n}:00Z",
        )
        for n, text in enumerate(SAID)
    ]
    sent = answered(await post_lines(stack.ingest, b"\n".join(lines)), 200)
    positions = [result["position"] for result in sent["results"]]
    answers = [
        await search(stack.retriever, user, question, mode=mode, limit=50, wait_for=positions) for question in ASKED
    ]

    judged = [sets.Judged(user, question, "all", frozenset({f"{user}-0"})) for question in ASKED]
    questions = sets.JudgedSet("mine", tmp_path / "none", judged)
    recorded = await replaying.record(questions, stack.info, DIMENSIONS)
    replaying.write(tmp_path / "mine.json", stack.info.embedding_model, recorded)

    calibration = calibration_of("all-MiniLM-L6-v2_384_t1")
    for one, answer in zip(replaying.read(tmp_path / "mine.json"), answers, strict=True):
        replayed = replaying.replay(one, calibration, mode)
        assert [hit.message.message_id for hit in replayed] == [hit["message_id"] for hit in answer["hits"]]
        assert [hit.relevance for hit in replayed] == pytest.approx([hit["relevance"] for hit in answer["hits"]])
        assert replayed
