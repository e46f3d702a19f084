"""Fits a calibration to recordings."""

from benchmarks.quality.judging import MODES, Recordings, fit_model, is_across, replay_all
from memstream.retriever.ranking import Calibration, CosineScale


def fit_calibration(recordings: Recordings, scale: CosineScale) -> Calibration:
    """Return a calibration fitted to recordings of a space whose cosines have this scale."""
    asked = {name: [one for one in recorded if not is_across(one)] for name, recorded in recordings.items()}
    hybrid, dense, keyword = (fit_model(replay_all(asked, mode, scale), mode, scale) for mode in MODES)
    return Calibration(both=hybrid, dense=dense, keyword=keyword, scale=scale)
