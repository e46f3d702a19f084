"""Judges every set by what was fitted to the others alone, and what each feature adds there.

What a feature or a coefficient is worth on the set that it was fitted to says little about anybody else. Here each set
is left out in turn: order and relevance are fitted to the recordings of the others, and all figures are of the one left
out. Beside them stand orders that need no fit: each score alone, and the two fused by their ranks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.quality.calibration import CalibrationFigures
from benchmarks.quality.judging import (
    Abstention,
    Ranked,
    Recordings,
    abstention,
    calibration_of_ranked,
    fit_model,
    is_across,
    judgements,
    mean,
    rank_by,
    replay_all,
)
from benchmarks.quality.metrics import Judgement
from benchmarks.quality.replaying import Recorded
from benchmarks.quality.sets import ACROSS, collection_of
from memstream.contracts.searches import Mode
from memstream.retriever.ranking import FEATURES, SCORES, CosineScale

SHOWN = ("hit@1", "recall@1", "recall@5", "recall@10", "precision@5", "nDCG@10", "MRR@10")
ALL_FEATURES = "all features"
_RRF_CONSTANT = 60
"""Of reciprocal rank fusion (Cormack et al., 2009)."""

Scores = Mapping[str, float]
"""The scores of some chunks, by their ids; of what is not in it, nothing is known."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The figures of a set by what was fitted to the others."""

    measures: Mapping[str, float]
    abstention: Abstention | None = None
    calibration: CalibrationFigures | None = None
    """None for orders that are no relevance."""


def print_left_out(recordings: Recordings, scale: CosineScale, *, mode: Mode, ablation: bool) -> dict[str, Any]:
    """Print and return the figures of each set by the others' coefficients; with `ablation`, without each feature too.

    The sets of one collection, such as XQuAD in several languages, are left out together.

    Raises:
        ValueError: there is only one collection.

    """
    if len({collection_of(name) for name in recordings}) <= 1:
        raise ValueError("to leave one set out takes two at least")
    replayed = replay_all(recordings, mode, scale)
    report: dict[str, Any] = {}
    for name, mine in replayed.items():
        others = {other: part for other, part in replayed.items() if collection_of(other) != collection_of(name)}
        model = fit_model(others, mode, scale)
        table = judged_by(rank_by(mine, model, scale))
        for label, without in _left_away() if ablation else ():
            fewer = fit_model(others, mode, scale, without)
            # One language's questions are enough to see what a feature adds.
            table |= {label: next(iter(judged_by(rank_by(mine, fewer, scale)).values()))}
        table |= {label: _by_scores(recordings[name], scores) for label, scores in _UNFITTED.items()}
        _print(name, table)
        report[name] = {
            "coefficients": {"order": model.order, "relevance": model.relevance},
            "rows": {label: asdict(row) for label, row in table.items()},
        }
    return report


def judged_by(ranked: Sequence[Ranked]) -> dict[str, LeftOut]:
    """Return the figures of a set: of questions in the memory's language first, then of each other language."""
    languages = sorted({one.recorded.question.category for one in ranked if is_across(one.recorded)})
    parts = {ALL_FEATURES: [one for one in ranked if not is_across(one.recorded)]}
    parts |= {name: [one for one in ranked if one.recorded.question.category == name] for name in languages}
    return {label: _figures(part) for label, part in parts.items() if part}


def _figures(ranked: Sequence[Ranked]) -> LeftOut:
    return LeftOut(_measures(list(judgements(ranked))), abstention(ranked), calibration_of_ranked(ranked))


def _left_away() -> list[tuple[str, Sequence[str]]]:
    """Return what an ablation leaves away. One of the scores has to stay."""
    names = [feature.name for feature in FEATURES]
    each = [(f"without {name}", (name,)) for name in names]
    return [*each, ("the two scores alone", tuple(name for name in names if name not in SCORES))]


def _measures(judged: Sequence[Judgement]) -> dict[str, float]:
    return {measure: mean(measure, judged) for measure in SHOWN}


def _by_scores(recorded: Sequence[Recorded], scores: Callable[[Recorded], Scores]) -> LeftOut:
    judged = []
    for one in recorded:
        question = one.question
        if one.own and question.evidence and not question.category.startswith(ACROSS):
            labels = [message in question.evidence for message in messages_by(one, scores(one))]
            judged.append(Judgement(question.category, labels, len(question.evidence)))
    return LeftOut(_measures(judged))


def messages_by(one: Recorded, scores: Scores) -> list[str]:
    """Return the candidates' messages in the order of the scores of their best chunks."""
    order = sorted(scores, key=lambda point: (-scores[point], point))
    return list(dict.fromkeys(one.candidates.messages[point].message_id for point in order))


def fused(one: Recorded) -> Scores:
    """Return the candidates' scores by reciprocal rank fusion of the cosine and BM25, each by its own order."""
    sums: dict[str, float] = {}
    for scores in (one.candidates.dense or {}, one.candidates.keyword or {}):
        for rank, point in enumerate(sorted(scores, key=lambda point: (-scores[point], point)), start=1):
            sums[point] = sums.get(point, 0.0) + 1 / (_RRF_CONSTANT + rank)
    return sums


_UNFITTED: Mapping[str, Callable[[Recorded], Scores]] = {
    "the cosine alone": lambda one: one.candidates.dense or {},
    "BM25 alone": lambda one: one.candidates.keyword or {},
    "reciprocal rank fusion": fused,
}


def _print(name: str, table: Mapping[str, LeftOut]) -> None:
    columns = [*SHOWN, "stranger", "accepts", "swapped", "cal ≥ 0.1", "cal first", "over 0.7"]
    print(f"\n{f'{name}, fitted to the others':34}" + "".join(f"{column:>12}" for column in columns))
    for label, row in table.items():
        cells = [f"{100 * value:.1f}" for value in row.measures.values()]
        told, errors = row.abstention, row.calibration
        cells += [_number(one) for one in (told.auroc, told.false_accepts, told.swapped_auroc)] if told else [""] * 3
        cells += [_number(one) for one in (errors.used_hits, errors.first_hits, errors.sure_true)] if errors else []
        print(f"{label:34}" + "".join(f"{cell:>12}" for cell in cells))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
