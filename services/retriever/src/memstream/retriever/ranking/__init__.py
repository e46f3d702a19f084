"""From candidates to ranked messages: features, log odds, relevance and order. Pure, but for reading files."""

from memstream.retriever.ranking.calibrations import (
    calibration_of,
    read_calibrations,
    shipped_calibrations,
    write_calibrations,
)
from memstream.retriever.ranking.columns import MAX_ANALYSED
from memstream.retriever.ranking.features import (
    FEATURES,
    OTHER_SIGNALS,
    RERANK,
    SCORES,
    Feature,
    Signal,
    matrix_of_signals,
    rarities_of,
)
from memstream.retriever.ranking.fitting import JudgedCandidates, fit
from memstream.retriever.ranking.models import MODEL_SCORES, Calibration, LinearModel, probabilities
from memstream.retriever.ranking.preferences import arrange
from memstream.retriever.ranking.ranker import RankedMessage, rank
from memstream.retriever.ranking.scores import Score, prior_log_odds
from memstream.retriever.ranking.updates import COMPARED

__all__ = [
    "COMPARED",
    "FEATURES",
    "MAX_ANALYSED",
    "MODEL_SCORES",
    "OTHER_SIGNALS",
    "RERANK",
    "SCORES",
    "Calibration",
    "Feature",
    "JudgedCandidates",
    "LinearModel",
    "RankedMessage",
    "Score",
    "Signal",
    "arrange",
    "calibration_of",
    "fit",
    "matrix_of_signals",
    "prior_log_odds",
    "probabilities",
    "rank",
    "rarities_of",
    "read_calibrations",
    "shipped_calibrations",
    "write_calibrations",
]
