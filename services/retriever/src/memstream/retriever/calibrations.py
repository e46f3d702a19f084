"""Calibrations that ship with the retriever, by the name of the embedding space's vector.

Fitted by `make quality` with `--fit` on the questions of LoCoMo and BEAM, each set with the same weight.
"""

from memstream.retriever.relevance import Calibration, Linear

_MINILM = Calibration(
    both=Linear(-7.541, dense=4.222, keyword=0.274),
    dense=Linear(-7.986, dense=8.741),
    keyword=Linear(-6.199, keyword=0.335),
)

_WORDLLAMA = Calibration(
    both=Linear(-7.111, dense=3.316, keyword=0.28),
    dense=Linear(-7.508, dense=8.317),
    keyword=Linear(-6.262, keyword=0.333),
)

CALIBRATIONS = {"all-MiniLM-L6-v2_384_t1": _MINILM, "wordllama-256_256_t1": _WORDLLAMA}

DEFAULT = _MINILM
"""For spaces nobody has calibrated: their order is right, their probabilities are only as good as their likeness."""


def calibration_of(vector_name: str) -> Calibration:
    """Give the calibration of a space."""
    return CALIBRATIONS.get(vector_name, DEFAULT)
