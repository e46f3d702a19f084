"""Calibrations that ship with the retriever, by the name of the embedding space's vector.

Fitted by `make quality` with `--fit` on the questions of LoCoMo and BEAM, each set with the same weight.
"""

from memstream.retriever.relevance import Calibration, Logistic

_MINILM = Calibration(
    both=Logistic(-7.449, dense=4.987, keyword=0.267),
    dense=Logistic(-7.456, dense=8.657),
    keyword=Logistic(-5.818, keyword=0.336),
)

CALIBRATIONS = {"all-MiniLM-L6-v2_384_t1": _MINILM}

DEFAULT = _MINILM
"""For spaces nobody has calibrated: their order is right, their probabilities are only as good as their likeness."""


def calibration_of(vector_name: str) -> Calibration:
    """Give the calibration of a space."""
    return CALIBRATIONS.get(vector_name, DEFAULT)
