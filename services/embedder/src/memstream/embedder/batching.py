"""What shares a call to the embeddings API. Told the time, so pure."""

from collections import deque
from dataclasses import dataclass

from memstream.contracts.keys import LANES, Lane
from memstream.embedder.work import Work


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """A batch closes on texts, on bytes, or when its oldest message has waited `linger` seconds."""

    texts: int
    size: int
    linger: float


class Batcher:
    """Queues what is to be embedded, and cuts it into batches: live before bulk, redelivered messages alone."""

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._lanes: dict[Lane, deque[tuple[float, Work]]] = {lane: deque() for lane in LANES}
        self._alone: deque[Work] = deque()
        self._alone_next = True
        self._texts = 0
        self._size = 0

    def add(self, work: Work, now: float) -> None:
        """Queue a message."""
        if work.alone:
            self._alone.append(work)
            return
        self._lanes[work.delivery.lane].append((now, work))
        self._texts += len(work.texts)
        self._size += work.size

    def due_in(self, now: float) -> float | None:
        """Give the seconds until a batch is due: 0 when one is, None when nothing waits."""
        if self._alone or self._texts >= self._policy.texts or self._size >= self._policy.size:
            return 0.0
        oldest = min((lane[0][0] for lane in self._lanes.values() if lane), default=None)
        return None if oldest is None else max(0.0, oldest + self._policy.linger - now)

    def take(self) -> list[Work]:
        """Cut the next batch off; empty when nothing waits. A message that is over the limits by itself goes alone.

        Redelivered messages and the others take turns, so that neither waits for the end of the other.
        """
        if self._alone and (self._alone_next or not any(self._lanes.values())):
            self._alone_next = False
            return [self._alone.popleft()]
        self._alone_next = True
        batch: list[Work] = []
        texts = size = 0
        for lane in self._lanes.values():
            while lane:
                work = lane[0][1]
                full = texts + len(work.texts) > self._policy.texts or size + work.size > self._policy.size
                if batch and full:
                    break
                lane.popleft()
                batch.append(work)
                texts += len(work.texts)
                size += work.size
        self._texts -= texts
        self._size -= size
        return batch
