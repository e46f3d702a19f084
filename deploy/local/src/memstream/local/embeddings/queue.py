"""The queue of texts to embed: what is computed next, in which batch. Pure: no clock, no threads, no event loop."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from memstream.local.embeddings.batches import plan_batches
from memstream.local.embeddings.model import Tokens, Vectors

# Requests of up to this many texts, such as a query, have priority over larger ones, such as an import.
SMALL_REQUEST = 4

# At most this many batches of small requests between two batches of large ones.
MAX_CONSECUTIVE_SMALL = 4


@dataclass(eq=False, slots=True)
class Job:
    """The texts of one request, and the vectors computed so far."""

    texts: Sequence[Tokens]
    vectors: Vectors
    missing: int = field(init=False)
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.missing = len(self.texts)


@dataclass(frozen=True, slots=True)
class QueuedText:
    """A text of a job, and the row of its vector."""

    job: Job
    row: int

    @property
    def tokens(self) -> Tokens:
        """The text itself."""
        return self.job.texts[self.row]


class BatchQueue:
    """Two FIFO queues: small requests are merged into batches, large ones are split into batches.

    Small requests go first, but a large one never waits for more than `MAX_CONSECUTIVE_SMALL` batches of them.
    """

    def __init__(self, batch_tokens: int) -> None:
        self._batch_tokens = batch_tokens
        self._small: deque[QueuedText] = deque()
        self._large: deque[list[QueuedText]] = deque()
        self._consecutive_small = 0

    def add(self, job: Job) -> None:
        """Queue all texts of a job."""
        if len(job.texts) <= SMALL_REQUEST:
            self._small.extend(QueuedText(job, row) for row in range(len(job.texts)))
            return
        batches = plan_batches([len(text.ids) for text in job.texts], self._batch_tokens)
        self._large.extend([QueuedText(job, row) for row in rows] for rows in batches)

    def next_batch(self) -> list[QueuedText]:
        """Return the next batch; empty if nothing waits. Cancelled jobs are skipped."""
        self._skip_cancelled()
        if self._small and not (self._large and self._consecutive_small >= MAX_CONSECUTIVE_SMALL):
            self._consecutive_small += 1
            return self._merge_small()
        self._consecutive_small = 0
        return self._large.popleft() if self._large else []

    def _skip_cancelled(self) -> None:
        while self._small and self._small[0].job.cancelled:
            self._small.popleft()
        while self._large and self._large[0][0].job.cancelled:
            self._large.popleft()

    def _merge_small(self) -> list[QueuedText]:
        batch: list[QueuedText] = []
        longest = 0
        while self._small:
            text = self._small[0]
            if not text.job.cancelled:
                longest = max(longest, len(text.tokens.ids))
                if batch and longest * (len(batch) + 1) > self._batch_tokens:
                    break
                batch.append(text)
            self._small.popleft()
        return batch


def store_vectors(batch: Sequence[QueuedText], vectors: Vectors) -> list[Job]:
    """Store the vectors of a batch in their jobs; return the jobs that are complete now."""
    complete = []
    for text, vector in zip(batch, vectors, strict=True):
        text.job.vectors[text.row] = vector
        text.job.missing -= 1
        if text.job.missing == 0:
            complete.append(text.job)
    return complete


def new_job(texts: Sequence[Tokens], dimensions: int) -> Job:
    """Return a job with room for its vectors."""
    return Job(texts, np.empty((len(texts), dimensions), dtype=np.float32))
