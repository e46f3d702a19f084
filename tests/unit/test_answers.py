"""Answers are written as their models write themselves."""

from hypothesis import given
from hypothesis import strategies as st

from memstream.contracts.messages import Accepted, AcceptedLine, BatchOut, LineError, RejectedLine
from memstream.ingest import answers
from memstream.ingest.answers import AppendResult, Outcome

texts = st.text(st.characters(codec="utf-8"), max_size=8)
taken = st.builds(AppendResult, texts, texts, st.booleans(), st.booleans())
waits = st.none() | st.integers(0, 3600)
errors = st.builds(LineError, code=texts, message=texts, limit=st.none() | texts, retry_after=waits)


@given(taken)
def test_the_answer_for_a_message(one: AppendResult) -> None:
    message_id, position, duplicate, deleted = one
    model = Accepted(message_id=message_id, position=position, duplicate=duplicate, deleted=deleted)

    assert answers.accepted(one) == model.model_dump_json().encode()


@given(st.lists(taken | errors, max_size=6))
def test_the_answer_for_a_batch(outcomes: list[Outcome]) -> None:
    rejected = [one for one in outcomes if isinstance(one, LineError)]
    duplicates = [one for one in outcomes if isinstance(one, AppendResult) and one.duplicate]
    model = BatchOut(
        accepted=len(outcomes) - len(rejected) - len(duplicates),
        duplicates=len(duplicates),
        rejected=len(rejected),
        results=[line(index, one) for index, one in enumerate(outcomes)],
    )

    assert answers.batch(outcomes) == model.model_dump_json(exclude_none=True).encode()


def line(index: int, outcome: Outcome) -> AcceptedLine | RejectedLine:
    """Make a line's model."""
    if isinstance(outcome, LineError):
        return RejectedLine(index=index, error=outcome)
    return AcceptedLine(index=index, **outcome._asdict())
