"""Calibrations that ship with the retriever, by the name of the embedding space's vector."""

from memstream.retriever.relevance import Calibration, Logistic

DEFAULT = Calibration(
    both=Logistic(-5.5, {"dense": 6.0, "keyword": 0.18}),
    dense=Logistic(-5.0, {"dense": 7.0}),
    keyword=Logistic(-3.5, {"keyword": 0.22}),
)
"""For spaces nobody has calibrated."""

CALIBRATIONS: dict[str, Calibration] = {}


def calibration_of(vector_name: str) -> Calibration:
    """Give the calibration of a space."""
    return CALIBRATIONS.get(vector_name, DEFAULT)
