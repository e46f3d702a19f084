"""Which messages share a call to the embeddings API. Pure: the time is passed in."""

from collections import deque
from dataclasses import dataclass

from memstream.contracts.keys import LANES, Lane
from memstream.embedder.jobs import EmbeddingJob

_BULK_LINGER = 10.0


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """A batch closes on texts, on bytes, or when its oldest message has waited `linger` seconds.

    An import waits `_BULK_LINGER` times as long: nobody waits for its messages, and calls are scarce.
    """

    texts: int
    size: int
    linger: float


class _Queue:
    """The messages that wait in one lane."""

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._others: deque[tuple[float, EmbeddingJob]] = deque()
        self._redelivered: deque[EmbeddingJob] = deque()
        self._redelivered_next = True
        self._texts = 0
        self._size = 0

    def add(self, job: EmbeddingJob, now: float) -> None:
        if job.is_redelivered:
            self._redelivered.append(job)
            return
        self._others.append((now, job))
        self._texts += len(job.texts)
        self._size += job.size

    @property
    def is_empty(self) -> bool:
        return not (self._redelivered or self._others)

    def due_in(self, now: float, linger: float) -> float | None:
        if self._redelivered or self._texts >= self._policy.texts or self._size >= self._policy.size:
            return 0.0
        return max(0.0, self._others[0][0] + linger - now) if self._others else None

    def take(self) -> list[EmbeddingJob]:
        if self._redelivered and (self._redelivered_next or not self._others):
            self._redelivered_next = False
            return [self._redelivered.popleft()]
        self._redelivered_next = True
        batch: list[EmbeddingJob] = []
        texts = size = 0
        while self._others:
            job = self._others[0][1]
            full = texts + len(job.texts) > self._policy.texts or size + job.size > self._policy.size
            if batch and full:
                break
            self._others.popleft()
            batch.append(job)
            texts += len(job.texts)
            size += job.size
        self._texts -= texts
        self._size -= size
        return batch


class Batcher:
    """Queues messages to be embedded, and cuts them into batches of one lane; redelivered messages go alone.

    Lanes don't share a batch: a live message would wait for the import that fills it.
    """

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._lanes = {lane: _Queue(policy) for lane in LANES}

    def add(self, job: EmbeddingJob, now: float) -> None:
        """Queue a message."""
        self._lanes[job.delivery.lane].add(job, now)

    @property
    def is_empty(self) -> bool:
        """Nothing waits in any lane."""
        return all(queue.is_empty for queue in self._lanes.values())

    def due_in(self, lane: Lane, now: float) -> float | None:
        """Return the seconds until a batch of a lane is due: 0 when one is, None when nothing waits."""
        linger = self._policy.linger if lane == "live" else self._policy.linger * _BULK_LINGER
        return self._lanes[lane].due_in(now, linger)

    def take(self, lane: Lane) -> list[EmbeddingJob]:
        """Take and return a lane's next batch, empty when nothing waits. A message that exceeds the limits goes alone.

        Redelivered messages and the others take turns, so that neither waits for the end of the other.
        """
        return self._lanes[lane].take()
