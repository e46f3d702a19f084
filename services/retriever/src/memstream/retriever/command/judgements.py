"""Judged questions: which messages answer which question, from a file of JSON lines."""

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from memstream.client.command.failure import Failure
from memstream.contracts.ids import UserId
from memstream.contracts.messages import Text

MIN_QUESTIONS = 30
"""Fewer questions with evidence are too few to fit a dozen coefficients."""


class JudgedQuestion(BaseModel):
    """A line of the file."""

    user_id: UserId
    question: Text
    evidence: frozenset[str]
    """Ids of the messages that answer the question; none if nothing does."""


JudgedQuestions = Mapping[int, JudgedQuestion]
"""Questions by line number."""


def read_judgements(file: Path) -> dict[int, JudgedQuestion]:
    """Return the questions of a file. Blank lines are skipped.

    Raises:
        Failure: the file can't be read, a line is not a judged question, or too few questions have evidence.

    """
    judged = {}
    try:
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as error:
        raise Failure(f"{file} can't be read: {error.strerror or error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            question = JudgedQuestion.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"])) or "the line"
            raise Failure(f"{file}, line {number}: {place}: {fault['msg']}") from error
        judged[number] = question
    answered = sum(bool(question.evidence) for question in judged.values())
    if answered < MIN_QUESTIONS:
        raise Failure(f"{file} has {answered} questions with evidence; fewer than {MIN_QUESTIONS} say too little")
    return judged


def check_evidence(file: Path, judged: JudgedQuestions, messages: Mapping[str, Collection[str]]) -> None:
    """Check that the messages named as evidence exist; `messages` has each user's message ids.

    Raises:
        Failure: a message does not exist.

    """
    for number, question in judged.items():
        missing = sorted(question.evidence.difference(messages[question.user_id]))
        if missing:
            raise Failure(f"{file}, line {number}: evidence: {question.user_id} has no message {missing[0]}")
