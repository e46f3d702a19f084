"""Fits a calibration to recordings."""

from benchmarks.quality.judging import MODES, Recordings, fit_model, replay_all
from memstream.retriever.ranking import Calibration, CosineScale


def fit_calibration(recordings: Recordings, scale: CosineScale) -> Calibration:
    """Return a calibration fitted to recordings of a space whose cosines have this scale."""
    hybrid, dense, keyword = (fit_model(replay_all(recordings, mode, scale), mode, scale) for mode in MODES)
    return Calibration(both=hybrid, dense=dense, keyword=keyword, scale=scale)
