"""Judged sets in one neutral shape: `messages.jsonl` as a device would post them, `questions.jsonl` with evidence."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, and the ids of the messages that answer it; none when the set says that nothing does."""

    user_id: str
    question: str
    category: str
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """One conversation is one user; every question is asked as its user."""

    name: str
    messages: Path
    questions: list[Judged]


def read_set(folder: Path) -> JudgedSet:
    """Read a folder.

    Raises:
        FileNotFoundError: it lacks one of the two files.

    """
    with (folder / "questions.jsonl").open() as lines:
        rows = [json.loads(line) for line in lines]
    questions = [
        Judged(row["user_id"], row["question"], row.get("category", "all"), frozenset(row["evidence"])) for row in rows
    ]
    return JudgedSet(folder.name, folder / "messages.jsonl", questions)
