"""Vectors of the questions and answers that a cosine scale is measured with."""

import numpy as np

from memstream.retriever.ranking import QUESTIONS
from memstream.vectors.space import Vectors


def embedded_pairs(unrelated: float, answering: float) -> tuple[Vectors, Vectors]:
    """Return unit vectors of as many questions and answers, which have these cosines; `unrelated` is 0 or more."""
    count = len(QUESTIONS)
    ahead = answering - unrelated
    # All have one part in common, each pair another one, and each text one of its own.
    common = np.full((count, 1), np.sqrt(unrelated))
    paired = np.sqrt(abs(ahead)) * np.eye(count)
    own = np.sqrt(1.0 - unrelated - abs(ahead)) * np.eye(count)
    questions = np.c_[common, paired, own, np.zeros_like(own)]
    answers = np.c_[common, np.sign(ahead) * paired, np.zeros_like(own), own]
    return questions.astype(np.float32), answers.astype(np.float32)
