"""The order in which waiting texts reach the model. No clock, no threads, no event loop."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from memstream.local.embeddings.batches import plan
from memstream.local.embeddings.model import Tokens, Vectors

# A request of up to this many texts overtakes larger ones: a question, not an import.
SMALL_REQUEST = 4

# Between two batches of a large request, at most this many batches of small ones.
SMALL_IN_A_ROW = 4


@dataclass(eq=False, slots=True)
class Job:
    """One request's texts, and the vectors found so far."""

    texts: Sequence[Tokens]
    vectors: Vectors
    missing: int = field(init=False)
    dropped: bool = False

    def __post_init__(self) -> None:
        self.missing = len(self.texts)


@dataclass(frozen=True, slots=True)
class Place:
    """A text of a job: where its vector belongs."""

    job: Job
    row: int

    @property
    def tokens(self) -> Tokens:
        """The text itself."""
        return self.job.texts[self.row]


class Lanes:
    """Waiting work: one lane for small requests, which are computed together, and one for large ones, which are split.

    Small requests go first, except that a large one is never kept waiting for more than `SMALL_IN_A_ROW` batches.
    Within a lane, first come, first served.
    """

    def __init__(self, batch_tokens: int) -> None:
        self._batch_tokens = batch_tokens
        self._small: deque[Place] = deque()
        self._large: deque[list[Place]] = deque()
        self._small_in_a_row = 0

    def add(self, job: Job) -> None:
        """Queue all texts of a job."""
        if len(job.texts) <= SMALL_REQUEST:
            self._small.extend(Place(job, row) for row in range(len(job.texts)))
            return
        batches = plan([len(text.ids) for text in job.texts], self._batch_tokens)
        self._large.extend([Place(job, row) for row in rows] for rows in batches)

    def take(self) -> list[Place]:
        """Return the texts to compute next, in one batch; none when nothing waits. Dropped jobs are left out."""
        self._skip_dropped()
        if self._small and not (self._large and self._small_in_a_row >= SMALL_IN_A_ROW):
            self._small_in_a_row += 1
            return self._merge_small()
        self._small_in_a_row = 0
        return self._large.popleft() if self._large else []

    def _skip_dropped(self) -> None:
        while self._small and self._small[0].job.dropped:
            self._small.popleft()
        while self._large and self._large[0][0].job.dropped:
            self._large.popleft()

    def _merge_small(self) -> list[Place]:
        batch: list[Place] = []
        longest = 0
        while self._small:
            place = self._small[0]
            if not place.job.dropped:
                longest = max(longest, len(place.tokens.ids))
                if batch and longest * (len(batch) + 1) > self._batch_tokens:
                    break
                batch.append(place)
            self._small.popleft()
        return batch


def deliver(batch: Sequence[Place], vectors: Vectors) -> list[Job]:
    """Put computed vectors where they belong; returns the jobs that are complete now."""
    complete = []
    for place, vector in zip(batch, vectors, strict=True):
        place.job.vectors[place.row] = vector
        place.job.missing -= 1
        if place.job.missing == 0:
            complete.append(place.job)
    return complete


def job_of(texts: Sequence[Tokens], dimensions: int) -> Job:
    """Make a job with room for its vectors."""
    return Job(texts, np.empty((len(texts), dimensions), dtype=np.float32))
