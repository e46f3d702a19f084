"""How good replayed rankings are: figures for each set, and cross-validation by user. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.quality.calibration import CalibrationFigures, calibration_figures
from benchmarks.quality.metrics import MEASURES, Judgement, auroc
from benchmarks.quality.replaying import Recorded, replay
from benchmarks.quality.sets import ACROSS
from memstream.contracts.messages import DOCUMENT
from memstream.contracts.searches import Mode
from memstream.retriever.ranking import (
    FEATURES,
    Calibration,
    Feature,
    JudgedCandidates,
    LinearModel,
    RankedMessage,
    Score,
    fit,
    matrix_of_signals,
)

Recordings = Mapping[str, Sequence[Recorded]]
Models = Mapping[Mode, LinearModel]

MODES: tuple[Mode, ...] = ("hybrid", "dense", "keyword")
MODE_SCORES: Mapping[Mode, tuple[Score, ...]] = {
    "hybrid": ("dense", "keyword"),
    "dense": ("dense",),
    "keyword": ("keyword",),
}
_FOLDS = 4
_KEPT = 0.95
_FIXED_COSINE = 0.2
_WEIGHT_OF_DOCUMENTS = 0.5


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recorded question and its ranking by some calibration."""

    recorded: Recorded
    ranked: Sequence[RankedMessage]

    @property
    def labels(self) -> list[bool]:
        """Whether each is evidence; for another user none is."""
        evidence = self.recorded.question.evidence
        return [self.recorded.own and one.message.message_id in evidence for one in self.ranked]

    @property
    def signals(self) -> list[Mapping[str, float]]:
        """The signals of each."""
        return [one.signals for one in self.ranked]


def replay_all(recordings: Recordings, calibration: Calibration, mode: Mode) -> dict[str, list[Replayed]]:
    """Return every recorded question of every set, ranked."""
    return {
        name: [Replayed(one, replay(one, calibration, mode)) for one in recorded]
        for name, recorded in recordings.items()
    }


def fitted_to(recordings: Recordings) -> dict[str, list[Recorded]]:
    """Return the questions that a calibration is fitted to: asked as their user, with an answer, in its language."""
    return {name: [one for one in recorded if _is_fitted(one)] for name, recorded in recordings.items()}


def calibration_by(models: Models) -> Calibration:
    """Return the calibration that has a model for each mode."""
    return Calibration(both=models["hybrid"], dense=models["dense"], keyword=models["keyword"])


def fit_model(
    sets: Mapping[str, Sequence[Replayed]],
    mode: Mode,
    without: Sequence[str] = (),
    features: Sequence[Feature] = FEATURES,
) -> LinearModel:
    """Return a model fitted to several sets. All sets have the same weight, but sets of documents half of it."""
    questions: list[JudgedCandidates] = []
    for replayed in sets.values():
        fitted = [one for one in replayed if _is_fitted(one.recorded)]
        weight = (_WEIGHT_OF_DOCUMENTS if _is_of_documents(fitted) else 1.0) / max(1, len(fitted))
        questions += [JudgedCandidates(one.signals, one.labels, weight) for one in fitted if one.ranked]
    return fit(questions, MODE_SCORES[mode], without, features)


def _is_fitted(recorded: Recorded) -> bool:
    question = recorded.question
    return recorded.own and bool(question.evidence) and not question.category.startswith(ACROSS)


def _is_of_documents(replayed: Sequence[Replayed]) -> bool:
    return any(hit.message.kind == DOCUMENT for one in replayed[:1] for hit in one.ranked[:1])


def held_back(
    sets: Mapping[str, Sequence[Replayed]], mode: Mode, without: Sequence[str] = ()
) -> dict[str, list[tuple[Replayed, npt.NDArray[np.float64]]]]:
    """Return every question's log odds by coefficients that were fitted without its user's questions.

    Sets of one user are split by question: there nothing but the question can be held back.
    """
    users = {name: sorted({one.recorded.question.user_id for one in replayed}) for name, replayed in sets.items()}

    def fold(name: str, place: int, one: Replayed) -> int:
        return (users[name].index(one.recorded.question.user_id) if len(users[name]) > 1 else place) % _FOLDS

    judged: dict[str, list[tuple[Replayed, npt.NDArray[np.float64]]]] = {name: [] for name in sets}
    for held in range(_FOLDS):
        rest = {
            name: [one for place, one in enumerate(replayed) if fold(name, place, one) != held]
            for name, replayed in sets.items()
        }
        model = fit_model(rest, mode, without)
        for name, replayed in sets.items():
            judged[name] += [
                (one, model.log_odds(matrix_of_signals(model.features, one.signals)))
                for place, one in enumerate(replayed)
                if fold(name, place, one) == held
            ]
    return judged


def judgements(judged: Sequence[tuple[Replayed, npt.NDArray[np.float64]]]) -> Iterator[Judgement]:
    """Yield how good the order by those log odds is, of questions that have an answer and were asked as their user."""
    for one, sums in judged:
        question = one.recorded.question
        if one.recorded.own and question.evidence:
            labels = np.array(one.labels, bool)[np.argsort(-sums, kind="stable")]
            yield Judgement(question.category, labels.tolist(), len(question.evidence))


def mean(name: str, judged: Sequence[Judgement]) -> float:
    """Return the mean of a measure."""
    return float(np.mean([MEASURES[name](one) for one in judged])) if judged else float("nan")


def calibration_of_replayed(replayed: Sequence[Replayed]) -> CalibrationFigures:
    """Return how far relevances are from shares of evidence, over all candidates of questions that have an answer."""
    answerable = [one for one in replayed if one.recorded.own and one.recorded.question.evidence]
    return calibration_figures([([hit.relevance for hit in one.ranked], one.labels) for one in answerable])


@dataclass(frozen=True, slots=True)
class Abstention:
    """How well the best hit distinguishes questions that have an answer from those that have none; shares, 0 to 1."""

    auroc: float
    false_accepts: float
    """At the relevance that 95% of the answerable questions reach."""
    unanswerable_auroc: float | None
    """Against the set's own questions without an answer."""
    cosine_auroc: float
    cosine_true_accepts: float
    cosine_false_accepts: float
    """By the rule that a cosine over 0.2 is relevant."""
    swapped_auroc: float | None = None
    """Against the same questions asked as others, with the names of the others' speakers put in."""
    swapped_false_accepts: float | None = None


def abstention(replayed: Sequence[Replayed]) -> Abstention | None:
    """Return what the best hits of recorded questions say; None if there is no other user to ask them as."""

    def best(one: Replayed) -> tuple[float, float]:
        return (
            max((hit.relevance for hit in one.ranked), default=0.0),
            max((hit.signals.get("dense") or -1.0 for hit in one.ranked), default=-1.0),
        )

    own = [one for one in replayed if one.recorded.own]
    return abstention_of(
        [best(one) for one in own if one.recorded.question.evidence],
        [best(one) for one in replayed if not one.recorded.own and not one.recorded.swapped],
        [best(one) for one in own if not one.recorded.question.evidence],
        [best(one) for one in replayed if one.recorded.swapped],
    )


Best = tuple[float, float]
"""The best relevance of an answer, and the best cosine."""


def abstention_of(
    own: Sequence[Best], others: Sequence[Best], unanswerable: Sequence[Best], swapped: Sequence[Best] = ()
) -> Abstention | None:
    """Return what the best hits say: with an answer, the same questions asked as others, and without an answer."""
    if not own or not others:
        return None
    answered, answered_cosine = np.array(own).T
    other, other_cosine = np.array(others).T
    accepted = np.quantile(answered, 1 - _KEPT)
    named = np.array([relevance for relevance, _ in swapped])
    return Abstention(
        auroc=auroc(answered, other),
        false_accepts=float((other >= accepted).mean()),
        unanswerable_auroc=auroc(answered, np.array(unanswerable)[:, 0]) if unanswerable else None,
        cosine_auroc=auroc(answered_cosine, other_cosine),
        cosine_true_accepts=float((answered_cosine > _FIXED_COSINE).mean()),
        cosine_false_accepts=float((other_cosine > _FIXED_COSINE).mean()),
        swapped_auroc=auroc(answered, named) if swapped else None,
        swapped_false_accepts=float((named >= accepted).mean()) if swapped else None,
    )
