"""Judged sets: who said what, the questions, and the messages that answer them.

The neutral shape is a folder with `messages.jsonl`, as a device would post them, and `questions.jsonl` (user_id,
question, evidence: ids of messages, category). Two public collections are read as they are published: BEIR's
(`corpus.jsonl`, `queries.test.jsonl`, `qrels.test.tsv`) and XQuAD's (`xquad.<language>.json`). Their documents become
the memory of one user each. `xquad` remembers the paragraphs in English and is asked in every language; `xquad-de` is
the same folder, remembered and asked in German.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_SETS = ("locomo", "beam", "qmsum", "scifact", "xquad", "xquad-de", "xquad-es", "xquad-zh")
"""What is measured, unless the command line says something else."""
EVERYDAY = "everyday"
"""The set that is made of everyday cases."""

_SOME_DAY = "2024-01-01T00:00:00+00:00"
"""Documents have no time that matters, but a message has one."""

_MEMORY_LANGUAGE = "en"
ACROSS = "asked in "
"""Begins the category of questions in another language than the memory's."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, and the ids of the messages that answer it; none when the set says that nothing does."""

    user_id: str
    question: str
    category: str
    evidence: frozenset[str]


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """One conversation, or one collection of documents, is one user; every question is asked as its user."""

    name: str
    messages: Path
    questions: list[Judged]

    def owners(self) -> dict[str, str]:
        """Return the user of every message, by message id."""
        return {row["message_id"]: row["user_id"] for row in _rows(self.messages)}

    def speakers(self) -> dict[str, list[str]]:
        """Return the speakers of every user, in the order in which they first speak."""
        found: dict[str, dict[str, None]] = {}
        for row in _rows(self.messages):
            if row.get("speaker"):
                found.setdefault(row["user_id"], {})[row["speaker"]] = None
        return {user: list(names) for user, names in found.items()}


def collection_of(name: str) -> str:
    """Return the collection that a set is of: `xquad` of `xquad-de`."""
    return name.partition("-")[0]


def read_set(folder: Path, work: Path) -> JudgedSet:
    """Read a folder; what has to be rewritten as messages is put into the folder `work`.

    Raises:
        FileNotFoundError: it has none of the shapes.

    """
    if (folder / "corpus.jsonl").exists():
        return _beir(folder, work)
    if (folder / f"xquad.{_MEMORY_LANGUAGE}.json").exists():
        return _xquad(folder, work)
    collection, _, language = folder.name.rpartition("-")
    if language and (folder.parent / collection / f"xquad.{language}.json").exists():
        return _xquad_in(folder.parent / collection, language, folder.name, work)
    questions = [
        Judged(row["user_id"], row["question"], row.get("category", "all"), frozenset(row["evidence"]))
        for row in _rows(folder / "questions.jsonl")
    ]
    return JudgedSet(folder.name, folder / "messages.jsonl", questions)


def _beir(folder: Path, work: Path) -> JudgedSet:
    user = folder.name
    documents = ((row["_id"], f"{row['title']}\n\n{row['text']}") for row in _rows(folder / "corpus.jsonl"))
    evidence: dict[str, set[str]] = {}
    with (folder / "qrels.test.tsv").open() as lines:
        next(lines)
        for query, document, score in (line.split() for line in lines):
            if int(score) > 0:
                evidence.setdefault(query, set()).add(_name(user, document))
    questions = [
        Judged(user, row["text"], "all", frozenset(evidence[row["_id"]]))
        for row in _rows(folder / "queries.test.jsonl")
        if row["_id"] in evidence
    ]
    return JudgedSet(user, _write(work, user, documents), questions)


def _xquad(folder: Path, work: Path) -> JudgedSet:
    """Read questions in every language about the paragraphs in English; a question's category says its language."""
    user = folder.name
    languages = sorted(file.name.split(".")[1] for file in folder.glob("xquad.*.json"))
    questions = [
        Judged(user, asked["question"], _category(language), frozenset({_name(user, str(place))}))
        for language in languages
        for place, paragraph in enumerate(_paragraphs(folder, language))
        for asked in paragraph["qas"]
    ]
    documents = ((str(place), one["context"]) for place, one in enumerate(_paragraphs(folder, _MEMORY_LANGUAGE)))
    return JudgedSet(user, _write(work, user, documents), questions)


def _xquad_in(folder: Path, language: str, user: str, work: Path) -> JudgedSet:
    """Read questions and paragraphs in one language."""
    paragraphs = list(_paragraphs(folder, language))
    questions = [
        Judged(user, asked["question"], language, frozenset({_name(user, str(place))}))
        for place, paragraph in enumerate(paragraphs)
        for asked in paragraph["qas"]
    ]
    documents = ((str(place), one["context"]) for place, one in enumerate(paragraphs))
    return JudgedSet(user, _write(work, user, documents), questions)


def _category(language: str) -> str:
    return language if language == _MEMORY_LANGUAGE else ACROSS + language


def _paragraphs(folder: Path, language: str) -> Iterator[dict[str, Any]]:
    articles = json.loads((folder / f"xquad.{language}.json").read_bytes())["data"]
    return (paragraph for article in articles for paragraph in article["paragraphs"])


def _name(user: str, document: str) -> str:
    return f"{user}/{document}"


def _write(work: Path, user: str, documents: Iterable[tuple[str, str]]) -> Path:
    path = work / f"{user}.jsonl"
    with path.open("w") as lines:
        for document, text in documents:
            message = {
                "user_id": user,
                "message_id": _name(user, document),
                "role": "user",
                "kind": "document",
                "text": text,
                "occurred_at": _SOME_DAY,
            }
            lines.write(json.dumps(message) + "\n")
    return path


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as lines:
        for line in lines:
            yield json.loads(line)
