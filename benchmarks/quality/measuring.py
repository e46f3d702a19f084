"""What the running services find for a set's questions, as whoever asks them would see it."""

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np

from benchmarks.quality.asking import ask, check_owner
from benchmarks.quality.contexts import BUDGETS, KINDS, evidence_within
from benchmarks.quality.judging import Abstention, abstention_of
from benchmarks.quality.metrics import Judgement, calibration_error
from benchmarks.quality.reporting import print_abstention, print_set
from benchmarks.quality.sets import ACROSS, Judged, JudgedSet
from memstream.contracts.searches import SearchOut
from memstream.contracts.stack import Stack

_CHANGED = "knowledge_update"
"""The category of questions about what has changed: the newest message of their evidence is the one that holds."""


async def searches(one: JudgedSet, stack: Stack, mode: str, seed: int) -> dict[str, Any]:
    """Ask every question as its user, and those with an answer as another one too; print and return the figures."""
    answers = await ask([(question, question.user_id) for question in one.questions], stack, mode=mode)
    table = _table(one, one.questions, answers, mode)
    abstention = await _abstention(one, answers, stack, mode, seed)
    if abstention:
        print_abstention(abstention)
    orders = [_newest_first(question, answer) for question, answer in zip(one.questions, answers, strict=True)]
    changed = [order for order in orders if order is not None]
    if changed:
        table["newest_first"] = {"questions": len(changed), "share": float(np.mean(changed))}
        print(f"  of {len(changed)} questions about what has changed: {100 * np.mean(changed):.1f}% newest first")
    return {**table, "abstention": abstention}


async def one_score(one: JudgedSet, stack: Stack, mode: str, at_most: int, seed: int) -> dict[str, Any]:
    """Ask in a mode of one score, some questions that have an answer."""
    questions = drawn(one, at_most, seed)
    answers = await ask([(question, question.user_id) for question in questions], stack, mode=mode)
    return _table(one, questions, answers, mode)


async def contexts(one: JudgedSet, stack: Stack, at_most: int, seed: int) -> dict[str, Any]:
    """Ask for contexts within each budget, for some questions that have an answer; print and return the figures."""
    questions = drawn(one, at_most, seed)
    print(f"\n{one.name}: {len(questions)} questions; share of the evidence in a context")
    table: dict[str, Any] = {"questions": len(questions)}
    for label, least in KINDS.items():
        for budget in BUDGETS:
            recall, abstained, tokens = await evidence_within(questions, stack, budget, least)
            table[f"{label}, {budget}"] = {"recall": recall, "abstained": abstained, "tokens": tokens}
            print(f"  {label:18} within {budget:5} tokens: {100 * recall:5.1f}%, {100 * abstained:4.1f}% abstentions, "
                  f"{tokens:6.0f} tokens used")  # fmt: skip
    return table


def drawn(one: JudgedSet, at_most: int, seed: int) -> list[Judged]:
    """Draw questions that have an answer and are asked in the memory's language; all, where there are no more."""
    answerable = [asked for asked in one.questions if asked.evidence and not asked.category.startswith(ACROSS)]
    if len(answerable) <= at_most:
        return answerable
    return Random(seed).sample(answerable, at_most)  # noqa: S311 - which questions, not a secret


def _table(one: JudgedSet, questions: Sequence[Judged], answers: Sequence[SearchOut], mode: str) -> dict[str, Any]:
    owners = one.owners()
    judged = []
    relevances: list[float] = []
    labels: list[bool] = []
    for question, answer in zip(questions, answers, strict=True):
        check_owner(question.user_id, answer.hits, owners)
        hits = [hit.message_id in question.evidence for hit in answer.hits]
        if question.evidence:
            judged.append(Judgement(question.category, hits, len(question.evidence)))
            relevances += [hit.relevance for hit in answer.hits]
            labels += hits
    error = calibration_error(np.array(relevances), np.array(labels, bool))
    return print_set(f"{one.name}, {mode}", judged, error, [answer.took_ms for answer in answers])


def _newest_first(question: Judged, answer: SearchOut) -> bool | None:
    """Return whether the newest of the evidence is above the rest; None if nothing has changed, or less was found."""
    found = [hit for hit in answer.hits if hit.message_id in question.evidence]
    if question.category != _CHANGED or len(found) <= 1:
        return None
    return found[0].occurred_at == max(hit.occurred_at for hit in found)


async def _abstention(
    one: JudgedSet, answers: Sequence[SearchOut], stack: Stack, mode: str, seed: int
) -> Abstention | None:
    users = sorted({question.user_id for question in one.questions})
    rng = Random(seed)  # noqa: S311 - which user is another, not a secret
    asked: list[tuple[Judged, str]] = [
        (question, rng.choice([user for user in users if user != question.user_id]))
        for question in one.questions
        if question.evidence and len(users) > 1
    ]
    others = await ask(asked, stack, mode=mode)
    by_kind = [
        [_best(answer) for question, answer in zip(one.questions, answers, strict=True) if question.evidence],
        [_best(answer) for answer in others],
        [_best(answer) for question, answer in zip(one.questions, answers, strict=True) if not question.evidence],
    ]
    return abstention_of(*by_kind)


def _best(answer: SearchOut) -> tuple[float, float]:
    """Return the best hit's relevance, and the best cosine; a cosine's least without hits."""
    return (
        max((hit.relevance for hit in answer.hits), default=0.0),
        max((hit.signals.get("dense", -1.0) for hit in answer.hits), default=-1.0),
    )
