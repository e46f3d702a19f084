"""What the running services find for a set's questions, as whoever asks them would see it."""

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np

from benchmarks.quality.asking import ask, check_owner
from benchmarks.quality.calibration import JudgedHits, calibration_figures
from benchmarks.quality.contexts import BUDGETS, KINDS, abstentions, evidence_within
from benchmarks.quality.judging import Abstention, abstention_of
from benchmarks.quality.metrics import Judgement
from benchmarks.quality.reporting import print_abstention, print_set
from benchmarks.quality.sets import ACROSS, Judged, JudgedSet
from benchmarks.quality.strangers import Asked, asked_as_strangers
from memstream.contracts.searches import SearchOut
from memstream.contracts.stack import Stack

_CHANGED = "knowledge_update"
"""The category of questions about what has changed: the newest message of their evidence is the one that holds."""


async def searches(one: JudgedSet, stack: Stack, mode: str, seed: int) -> dict[str, Any]:
    """Ask every question as its user, and those with an answer as another one too; print and return the figures."""
    answers = await ask([(question, question.user_id) for question in one.questions], stack, mode=mode)
    table = _table(one, one.questions, answers, mode)
    reranked = float(np.mean([answer.reranked for answer in answers]))
    if reranked:
        table["reranked"] = reranked
        print(f"  {100 * reranked:.1f}% of the answers were reranked")
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
    table["strangers"] = await _strangers_abstentions(one, stack, at_most, seed)
    return table


async def _strangers_abstentions(one: JudgedSet, stack: Stack, at_most: int, seed: int) -> dict[str, Any]:
    """Ask for contexts as other users, for whom there is no answer; print and return the shares that abstain."""
    found: dict[str, Any] = {}
    for label, swapped in (("asked as another user", False), ("with that user's names", True)):
        asked = [each for each in _strangers(one, seed) if each.swapped is swapped]
        if len(asked) > at_most:
            asked = Random(seed).sample(asked, at_most)  # noqa: S311 - which questions, not a secret
        if asked:
            share = await abstentions(asked, stack)
            found[label] = {"questions": len(asked), "abstained": share}
            print(f"  {label}: {100 * share:4.1f}% abstentions of {len(asked)}")
    return found


def drawn(one: JudgedSet, at_most: int, seed: int) -> list[Judged]:
    """Draw questions that have an answer and are asked in the memory's language; all, where there are no more."""
    answerable = [asked for asked in one.questions if asked.evidence and not asked.category.startswith(ACROSS)]
    if len(answerable) <= at_most:
        return answerable
    return Random(seed).sample(answerable, at_most)  # noqa: S311 - which questions, not a secret


def _table(one: JudgedSet, questions: Sequence[Judged], answers: Sequence[SearchOut], mode: str) -> dict[str, Any]:
    owners = one.owners()
    judged = []
    judged_hits: list[JudgedHits] = []
    for question, answer in zip(questions, answers, strict=True):
        check_owner(question.user_id, answer.hits, owners)
        hits = [hit.message_id in question.evidence for hit in answer.hits]
        if question.evidence:
            judged.append(Judgement(question.category, hits, len(question.evidence)))
            judged_hits.append(([hit.relevance for hit in answer.hits], hits))
    calibration = calibration_figures(judged_hits)
    return print_set(f"{one.name}, {mode}", judged, calibration, [answer.took_ms for answer in answers])


def _newest_first(question: Judged, answer: SearchOut) -> bool | None:
    """Return whether the newest of the evidence is above the rest; None if nothing has changed, or less was found."""
    found = [hit for hit in answer.hits if hit.message_id in question.evidence]
    if question.category != _CHANGED or len(found) <= 1:
        return None
    return found[0].occurred_at == max(hit.occurred_at for hit in found)


async def _abstention(
    one: JudgedSet, answers: Sequence[SearchOut], stack: Stack, mode: str, seed: int
) -> Abstention | None:
    strangers = _strangers(one, seed)
    others = await ask([(each.question, each.user) for each in strangers], stack, mode=mode)
    told = list(zip(strangers, others, strict=True))
    by_kind = [
        [_best(answer) for question, answer in zip(one.questions, answers, strict=True) if question.evidence],
        [_best(answer) for each, answer in told if not each.swapped],
        [_best(answer) for question, answer in zip(one.questions, answers, strict=True) if not question.evidence],
        [_best(answer) for each, answer in told if each.swapped],
    ]
    return abstention_of(*by_kind)


def _strangers(one: JudgedSet, seed: int) -> list[Asked]:
    return list(asked_as_strangers(one, Random(seed)))  # noqa: S311 - which user is another, not a secret


def _best(answer: SearchOut) -> tuple[float, float]:
    """Return the best hit's relevance, and the best cosine; a cosine's least without hits."""
    return (
        max((hit.relevance for hit in answer.hits), default=0.0),
        max((hit.signals.get("dense", -1.0) for hit in answer.hits), default=-1.0),
    )
