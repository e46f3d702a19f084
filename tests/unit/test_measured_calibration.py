"""What cosines mean in a space is measured once, as soon as the provider answers."""

import asyncio
import logging
from collections.abc import Sequence

import numpy as np
import pytest
from unit.manual_clock import ManualClock

from memstream.retriever.measured_calibration import MeasuredCalibration
from memstream.retriever.ranking import ANSWERS, QUESTIONS, CosineScale, calibration_of, measured_scale, rank
from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Unavailable
from memstream.vectors.space import Vectors

UNKNOWN = "another-model_1536_t1"
UNRELATED, ANSWERING = 0.7, 0.85


def embedded(unrelated: float, answering: float) -> tuple[Vectors, Vectors]:
    """Return vectors of questions and answers with these cosines."""
    pairs = len(QUESTIONS)
    wanted = np.full((pairs, pairs), unrelated) + (answering - unrelated) * np.eye(pairs)
    answers = np.eye(pairs, 2 * pairs)
    rest = np.sqrt(1.0 - (wanted**2).sum(axis=1)) if (wanted**2).sum(axis=1).max() <= 1.0 else None
    assert rest is not None
    return np.c_[wanted, np.diag(rest)].astype(np.float32), answers.astype(np.float32)
