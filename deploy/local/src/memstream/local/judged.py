"""Judged questions of one's own, as a file of JSON lines gives them."""

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from memstream.client.command.failure import Failure
from memstream.contracts.ids import UserId
from memstream.contracts.messages import Text

FEWEST = 30
"""Fewer questions say too little about a dozen of coefficients."""


class JudgedQuestion(BaseModel):
    """A line of the file."""

    user_id: UserId
    question: Text
    evidence: frozenset[str]
    """Ids of the messages that answer it."""


Judged = Mapping[int, JudgedQuestion]
"""Questions by the number of their line."""


def read_judged(file: Path) -> dict[int, JudgedQuestion]:
    """Read the questions that have evidence; blank lines, and questions that nothing answers, are passed over.

    Raises:
        Failure: the file can't be read, a line is no question, or there are too few.

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
        if question.evidence:
            judged[number] = question
    if len(judged) < FEWEST:
        raise Failure(f"{file} has {len(judged)} questions with evidence; fewer than {FEWEST} say too little")
    return judged


def check_evidence(file: Path, judged: Judged, messages: Mapping[str, Collection[str]]) -> None:
    """Check that every user has the messages that are said to answer; `messages` gives their ids by user.

    Raises:
        Failure: one is missing.

    """
    for number, question in judged.items():
        missing = sorted(question.evidence.difference(messages[question.user_id]))
        if missing:
            raise Failure(f"{file}, line {number}: evidence: {question.user_id} has no message {missing[0]}")
