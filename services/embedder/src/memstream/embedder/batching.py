"""Which messages share a call to the embeddings API. Pure: the time is passed in."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from memstream.contracts.keys import LANES, Lane
from memstream.embedder.jobs import EmbeddingJob
from memstream.embedder.tenant_turns import TenantTurns

_BULK_LINGER = 10.0

_SHARE_PER_TURN = 1 / 8
"""Of a batch, for a tenant before it is the next tenant's turn."""

_SUSPICION_SECONDS = 60.0
"""How long after a refusal a tenant's messages share no batch with those of others."""


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """A batch closes on texts, on bytes, or when its oldest message has waited `linger` seconds.

    An import waits `_BULK_LINGER` times as long: nobody waits for its messages, and calls are scarce.
    """

    texts: int
    size: int
    linger: float

    def share(self, job: EmbeddingJob) -> float:
        """Return the share of a batch that a message takes."""
        return max(len(job.texts) / self.texts, job.size / self.size)


class _Queue:
    """The messages that wait in one lane."""

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._others = self._fair()
        self._arrivals: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._texts = 0
        self._size = 0
        self._urgent: deque[list[EmbeddingJob]] = deque()
        self._redelivered = self._fair()
        self._suspected = self._fair()
        self._refused: TenantTurns[list[EmbeddingJob]] = TenantTurns(
            lambda jobs: sum(map(policy.share, jobs)), _SHARE_PER_TURN
        )
        self._apart: deque[TenantTurns[EmbeddingJob] | TenantTurns[list[EmbeddingJob]]] = deque(
            [self._redelivered, self._refused, self._suspected]
        )
        self._apart_next = True

    def _fair(self) -> TenantTurns[EmbeddingJob]:
        return TenantTurns(self._policy.share, _SHARE_PER_TURN)

    def add(self, job: EmbeddingJob, now: float, *, is_suspected: bool) -> None:
        if job.is_redelivered:
            self._redelivered.add(job.tenant, job)
        elif is_suspected:
            self._suspected.add(job.tenant, job)
        else:
            self._others.add(job.tenant, job)
            self._arrivals[job.delivery.name] = now
            self._count(job, 1)

    def _count(self, job: EmbeddingJob, sign: int) -> None:
        self._texts += sign * len(job.texts)
        self._size += sign * job.size

    def _forget(self, job: EmbeddingJob) -> None:
        del self._arrivals[job.delivery.name]
        self._count(job, -1)

    def add_part(self, jobs: list[EmbeddingJob], *, is_suspected: bool) -> None:
        if is_suspected:
            self._refused.add(jobs[0].tenant, jobs)
        else:
            self._urgent.append(jobs)

    def suspect(self, tenant: str) -> None:
        for job in self._others.remove(tenant):
            self._forget(job)
            self._suspected.add(tenant, job)

    def remove(self, tenant: str) -> list[EmbeddingJob]:
        others = self._others.remove(tenant)
        for job in others:
            self._forget(job)
        return [*self._redelivered.remove(tenant), *self._suspected.remove(tenant), *others]

    @property
    def is_empty(self) -> bool:
        return not (self._urgent or self._others or any(self._apart))

    def due_in(self, now: float, linger: float) -> float | None:
        full = self._texts >= self._policy.texts or self._size >= self._policy.size
        if full or self._urgent or any(self._apart):
            return 0.0
        return max(0.0, next(iter(self._arrivals.values())) + linger - now) if self._others else None

    def take(self) -> list[EmbeddingJob]:
        if self._urgent:
            return self._urgent.popleft()
        if any(self._apart) and (self._apart_next or not self._others):
            self._apart_next = False
            return self._take_apart()
        self._apart_next = True
        batch = self._take_batch(self._others)
        for job in batch:
            self._forget(job)
        return batch

    def _take_apart(self) -> list[EmbeddingJob]:
        """Take what shares no batch with other tenants' messages; the kinds of it take turns."""
        while not self._apart[0]:
            self._apart.rotate(-1)
        queue = self._apart[0]
        self._apart.rotate(-1)
        if queue is self._redelivered:
            return [self._redelivered.pop()[1]]
        if queue is self._refused:
            return self._refused.pop()[1]
        return self._take_batch(self._suspected, is_shared=False)

    def _take_batch(self, queue: TenantTurns[EmbeddingJob], *, is_shared: bool = True) -> list[EmbeddingJob]:
        batch: list[EmbeddingJob] = []
        texts = size = 0
        while queue:
            tenant, job = queue.peek()
            texts, size = texts + len(job.texts), size + job.size
            is_full = texts > self._policy.texts or size > self._policy.size
            if batch and (is_full or not (is_shared or tenant == batch[0].tenant)):
                break
            batch.append(queue.pop()[1])
        return batch


class Batcher:
    """Queues messages to be embedded, and cuts them into batches of one lane.

    Tenants share a batch in turns, so that one with many messages doesn't keep those of the others waiting. Two kinds
    of messages share none with others: redelivered ones go alone; and those of a tenant whose texts were refused lately
    go with their own kind.

    Lanes don't share a batch: a live message would wait for the import that fills it.
    """

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._lanes = {lane: _Queue(policy) for lane in LANES}
        self._suspected: dict[str, float] = {}

    def add(self, job: EmbeddingJob, now: float) -> None:
        """Queue a message."""
        self._lanes[job.lane].add(job, now, is_suspected=self._is_suspected(job.tenant, now))

    def divide(self, jobs: Sequence[EmbeddingJob], now: float) -> None:
        """Queue a refused batch of several messages again, in two parts: between two tenants if there are several.

        If all are one tenant's, that tenant is suspected, and its messages get no others into trouble for a while.
        """
        ordered = sorted(jobs, key=lambda job: job.tenant)
        queue, tenant = self._lanes[ordered[0].lane], ordered[0].tenant
        is_one_tenants = tenant == ordered[-1].tenant
        if is_one_tenants:
            self._suspect(tenant, now)
        cut = len(ordered) // 2 if is_one_tenants else _boundary(ordered)
        for part in (ordered[:cut], ordered[cut:]):
            queue.add_part(part, is_suspected=is_one_tenants)

    def _suspect(self, tenant: str, now: float) -> None:
        self._suspected = {one: until for one, until in self._suspected.items() if until > now}
        if tenant not in self._suspected:
            for queue in self._lanes.values():
                queue.suspect(tenant)
        self._suspected[tenant] = now + _SUSPICION_SECONDS

    def _is_suspected(self, tenant: str, now: float) -> bool:
        return self._suspected.get(tenant, now) > now

    def remove(self, tenant: str) -> list[EmbeddingJob]:
        """Take and return the messages of a tenant that are in no batch yet."""
        return [job for queue in self._lanes.values() for job in queue.remove(tenant)]

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

        What goes apart and the others take turns, so that neither waits for the end of the other. Parts of a batch that
        was refused because of some other tenant go first.
        """
        return self._lanes[lane].take()


def _boundary(ordered: Sequence[EmbeddingJob]) -> int:
    """Return where to cut between two tenants, nearest to the middle. There must be two."""
    cuts = [place for place in range(1, len(ordered)) if ordered[place - 1].tenant != ordered[place].tenant]
    return min(cuts, key=lambda place: abs(2 * place - len(ordered)))
