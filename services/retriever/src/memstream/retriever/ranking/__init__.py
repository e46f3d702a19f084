"""From candidates to ranked messages: features, order and relevance. Pure, but for reading files."""

from memstream.retriever.ranking.calibrations import (
    calibration_of,
    read_calibrations,
    scale_of,
    shipped_calibration,
    shipped_spaces,
    write_calibrations,
    write_shipped,
)
from memstream.retriever.ranking.columns import MAX_ANALYSED
from memstream.retriever.ranking.confidence import CLUES
from memstream.retriever.ranking.cosine_scales import ANSWERS, QUESTIONS, measured_scale
from memstream.retriever.ranking.features import (
    DOUBTS,
    FEATURES,
    OTHER_SIGNALS,
    RERANK,
    SCORES,
    Feature,
    Signal,
    matrix_of_signals,
)
from memstream.retriever.ranking.fitting import JudgedCandidates, fit
from memstream.retriever.ranking.models import MODEL_SCORES, Calibration, RankingModel, unfitted
from memstream.retriever.ranking.preferences import arrange
from memstream.retriever.ranking.ranker import RankedMessage, rank
from memstream.retriever.ranking.scores import CosineScale, Score
from memstream.retriever.ranking.updates import COMPARED

__all__ = [
    "ANSWERS",
    "CLUES",
    "COMPARED",
    "DOUBTS",
    "FEATURES",
    "MAX_ANALYSED",
    "MODEL_SCORES",
    "OTHER_SIGNALS",
    "QUESTIONS",
    "RERANK",
    "SCORES",
    "Calibration",
    "CosineScale",
    "Feature",
    "JudgedCandidates",
    "RankedMessage",
    "RankingModel",
    "Score",
    "Signal",
    "arrange",
    "calibration_of",
    "fit",
    "matrix_of_signals",
    "measured_scale",
    "rank",
    "read_calibrations",
    "scale_of",
    "shipped_calibration",
    "shipped_spaces",
    "unfitted",
    "write_calibrations",
    "write_shipped",
]
