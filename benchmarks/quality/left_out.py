"""Judges every set by what was fitted to the others alone, and what each feature adds there.

What a feature or a coefficient is worth on the set that it was fitted to says little about anybody else. Here each
collection is left out in turn: order and relevance are fitted to the recordings of the others, and all figures are of
the sets left out. Beside them stand orders that need no fit: each score alone, and the two fused by their ranks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.quality.calibration import CalibrationFigures
from benchmarks.quality.judging import (
    MODE_SCORES,
    AbstainingContexts,
    Abstention,
    Ranked,
    Recordings,
    abstaining_contexts,
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
from memstream.retriever.settings import RetrieverSettings

SHOWN = ("hit@1", "recall@1", "recall@5", "recall@10", "precision@5", "nDCG@10", "MRR@10")
LEFT_OUT: Mapping[Mode, str] = {"hybrid": "left_out", "dense": "left_out_dense", "keyword": "left_out_keyword"}
"""What the figures of a mode are called in a report."""
ALL_FEATURES = "all features"
WITHOUT = "without "
"""Begins the label of what was fitted without a feature."""
_RRF_CONSTANT = 60
"""Of reciprocal rank fusion (Cormack et al., 2009)."""
_ABSTAIN_BELOW: float = RetrieverSettings.model_fields["abstain_below"].default

Scores = Mapping[str, float]
"""The scores of some chunks, by their ids; of what is not in it, nothing is known."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The figures of a set by what was fitted to the others."""

    measures: Mapping[str, float]
    abstention: Abstention | None = None
    calibration: CalibrationFigures | None = None
    contexts: AbstainingContexts | None = None
    """By the retriever's default bound. This and those before: None for orders that are no relevance."""


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
    for collection in dict.fromkeys(map(collection_of, recordings)):
        mine = {name: part for name, part in replayed.items() if collection_of(name) == collection}
        others = {name: part for name, part in replayed.items() if name not in mine}
        model = fit_model(others, mode, scale)
        fewer = {label: fit_model(others, mode, scale, without) for label, without in _left_away(mode) if ablation}
        for name, part in mine.items():
            table = judged_by(rank_by(part, model, scale))
            # One language's questions are enough to see what a feature adds.
            asked = [one for one in part if not is_across(one.recorded)]
            table |= {label: _figures(rank_by(asked, one, scale)) for label, one in fewer.items()}
            table |= {label: _by_scores(recordings[name], scores) for label, scores in _UNFITTED.items()}
            _print(f"{name}, fitted to the others, {mode}", table)
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
    return LeftOut(
        _measures(list(judgements(ranked))),
        abstention(ranked),
        calibration_of_ranked(ranked),
        abstaining_contexts(ranked, _ABSTAIN_BELOW),
    )


def _left_away(mode: Mode) -> list[tuple[str, Sequence[str]]]:
    """Return what an ablation leaves away. One of the scores has to stay."""
    scores = MODE_SCORES[mode]
    names = [feature.name for feature in FEATURES if feature.needs.issubset(scores)]
    alone = tuple(name for name in names if name not in SCORES)
    if len(scores) == 1:
        return [*((f"{WITHOUT}{name}", (name,)) for name in alone), ("the score alone", alone)]
    return [*((f"{WITHOUT}{name}", (name,)) for name in names), ("the two scores alone", alone)]


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


def _print(title: str, table: Mapping[str, LeftOut]) -> None:
    columns = [*SHOWN, "stranger", "accepts", "swapped", "cal ≥ 0.1", "cal first", "over 0.7"]
    columns += ["abstain own", "of others", "of swapped"]
    print(f"\n{title:40}" + "".join(f"{column:>12}" for column in columns))
    for label, row in table.items():
        cells = [f"{100 * value:.1f}" for value in row.measures.values()]
        told, errors, contexts = row.abstention, row.calibration, row.contexts
        cells += [_number(one) for one in (told.auroc, told.false_accepts, told.swapped_auroc)] if told else [""] * 3
        cells += [_number(one) for one in (errors.used_hits, errors.first_hits, errors.sure_true)] if errors else []
        cells += [_number(one) for one in (contexts.answered, contexts.others, contexts.swapped)] if contexts else []
        print(f"{label:40}" + "".join(f"{cell:>12}" for cell in cells))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
