"""How well a ranking finds the evidence. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

RANKS = (1, 5, 10, 25, 50)
_NDCG_RANK = 10
_PRECISION_RANK = 5
_RESAMPLES = 1000
_Z = 1.959964
"""The 97.5th percentile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The relevance of each hit in order (True: it is evidence), and how much evidence there is."""

    category: str
    hits: Sequence[bool]
    evidence: int


def recall(judgement: Judgement, rank: int) -> float:
    """Return the share of the evidence among the first `rank` hits."""
    return sum(judgement.hits[:rank]) / judgement.evidence


def ndcg(judgement: Judgement) -> float:
    """Return nDCG@10 with binary gains (Järvelin and Kekäläinen, 2002)."""
    gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(judgement.hits[:_NDCG_RANK]) if hit)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(_NDCG_RANK, judgement.evidence)))


def reciprocal_rank(judgement: Judgement) -> float:
    """Return MRR@10's part: one over the rank of the first evidence."""
    return next((1 / (place + 1) for place, hit in enumerate(judgement.hits[:_NDCG_RANK]) if hit), 0.0)


def is_first(judgement: Judgement) -> float:
    """Return hit@1's part: 1 if the first hit is evidence. Where much is evidence, recall@1 can't say."""
    return float(any(judgement.hits[:1]))


def precision(judgement: Judgement) -> float:
    """Return precision@5: the share of the first five hits that is evidence."""
    return sum(judgement.hits[:_PRECISION_RANK]) / _PRECISION_RANK


MEASURES: dict[str, Callable[[Judgement], float]] = {
    **{f"recall@{rank}": partial(recall, rank=rank) for rank in RANKS},
    "nDCG@10": ndcg,
    "MRR@10": reciprocal_rank,
    "hit@1": is_first,
    "precision@5": precision,
}


def auroc(positives: npt.NDArray[np.float64], negatives: npt.NDArray[np.float64]) -> float:
    """Return the probability that a positive is higher than a negative; an equal one counts half."""
    above = (positives[:, None] > negatives).mean()
    return float(above + 0.5 * (positives[:, None] == negatives).mean())


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Return the mean, and the bounds of its 95% bootstrap interval (percentiles of 1,000 resamples)."""
    sample = np.asarray(values)
    means = np.random.default_rng(seed).choice(sample, (_RESAMPLES, len(sample))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(sample.mean()), float(low), float(high)


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the bounds of a share's 95% score interval (Wilson, 1927), which has a width even at 0 and at 1."""
    if not count:
        return 0.0, 1.0
    spread = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    middle, scale = share + _Z**2 / (2 * count), 1 + _Z**2 / count
    return (middle - spread) / scale, (middle + spread) / scale


def calibration_error(probabilities: npt.NDArray[np.float64], hits: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal width (Naeini et al., 2015)."""
    places = np.minimum((probabilities * bins).astype(int), bins - 1)
    error = 0.0
    for place in range(bins):
        inside = places == place
        if inside.any():
            error += abs(probabilities[inside].mean() - hits[inside].mean()) * inside.mean()
    return float(error)


def equal_mass_error(probabilities: npt.NDArray[np.float64], hits: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """Return the expected calibration error over bins of equally many (Nguyen and O'Connor, 2015)."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(probabilities[part].mean() - hits[part].mean()) * len(part) for part in parts]
    return float(sum(gaps) / len(order))
