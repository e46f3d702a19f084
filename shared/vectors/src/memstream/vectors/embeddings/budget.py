"""One budget of requests and tokens a minute for all that call a provider: kept in Redis, shared by every replica.

A budget is a bucket that refills steadily and holds little, so that calls are spread evenly: 97% of the limit, and a
fortieth of it at once, are together less than the limit, also for a provider that counts by fixed minutes.

An operator may also set how many calls the provider takes at once. Each holds a permit until it is settled, or until
the provider must have given up on it: the permits of a worker that dies become free that way.
When a call ends, its permit is transferred to the next waiter of the same process: at once where there are no buckets
to ask, else in the script that settles the call. To release and acquire it again would leave it unused for two round
trips, each a write to Redis' disk. But it is not transferred while a more urgent call waits anywhere, and only a few
times in a row.

Lower priorities keep more headroom: queries may empty the bucket, live messages leave a quarter, imports leave half.
So while imports take all they can get, a message finds a quarter of the bucket full, and a query half.
Nor do the more urgent ones take everything: each use has a floor, a share of the rate and of the permits.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal
from uuid import uuid4

from memstream.contracts import keys
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable
from memstream.streams.budget_scripts import (
    CORRECT,
    TAKE,
    BucketCharge,
    BucketCorrection,
    BudgetKeys,
    CorrectArguments,
    TakeArguments,
)
from memstream.streams.connections import Redis
from memstream.streams.scripts import Scripts
from memstream.vectors.embeddings.quotas import Quota, Quotas

Use = Literal["query", "live", "bulk"]
"""What a call is for, the most urgent first."""

_HEADROOM: dict[Use, float] = {"query": 0.0, "live": 0.25, "bulk": 0.5}
"""Share of the bucket that a call of this use leaves to the more urgent ones."""

_FLOORS: dict[Use, float] = {"query": 0.2, "live": 0.2, "bulk": 0.05}
"""Share of the rate, and of the calls in flight, that each use gets whatever the others take."""

_STARVING_MS = 100
"""How long a use that is below its floor waits for a permit before the others step back."""

_SHARE = 0.97
"""Of the limit."""

_BURST_SHARE = 1 / 40
"""Of the limit, in the bucket."""

_FEWEST = 3.0
"""Units in the bucket at the least: one for each use."""

_LONGEST_WAIT = 1.0
"""Seconds until the bucket is looked at again: others may give back what they took too much."""

_LOOK_MS = 5
"""How soon to look again for a free permit."""

_WAITER_MARK_MS = 200
"""How long it is remembered that somebody waits for a permit."""

_TRANSFERS = 16
"""Transfers of a permit in a row within one process; then the others get a chance."""

_KEPT_MS = 600_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that an operator sets; None leaves it to what the provider says."""

    requests: int | None = None
    """A minute."""
    tokens: int | None = None
    """A minute."""
    calls: int | None = None
    """In flight at once."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call was charged, and its permit to be in flight."""

    tokens: float
    permit: str = ""
    use: Use = "query"
    since: float = 0.0
    """When the permit was acquired, by this process's clock."""
    transfers: int = 0
    """How often the permit was transferred within this process."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """A call that waits."""

    charge: Charge
    offer: "asyncio.Future[Charge | None] | None" = None
    """Set by a call that ends: a charge with its permit, or None to look again. None while it asks Redis itself."""
    is_receiving: bool = False
    """A permit is being transferred to it."""

    @property
    def is_open(self) -> bool:
        """A permit may be transferred to it."""
        return self.offer is not None and not self.offer.done() and not self.is_receiving


class Budget:
    """Lets calls pass as the limits allow. Where no limit is set, and the provider reports none, all pass at once."""

    def __init__(self, client: Redis, name: str, clock: Clock, limits: Limits, *, call_seconds: float = 60.0) -> None:
        """Make it. No call takes longer than half of `call_seconds`."""
        self._keys = BudgetKeys(keys.budget(name), keys.budget_calls(name))
        self._call_ms = round(call_seconds * 1000)
        self._is_preempted: dict[Use, bool] = {}
        # The first of each use asks Redis, the others queue behind it. A permit that becomes free may go to any.
        self._queues: dict[Use, deque[_Waiter]] = {use: deque() for use in _HEADROOM}
        self._clock = clock
        self._limits = limits
        self._reported: dict[str, float] = {}
        self._scripts = Scripts(client)

    @property
    def limited(self) -> bool:
        """There is a limit, set or reported."""
        return bool(self._limits.calls) or any(self._per_minute(unit) for unit in ("requests", "tokens"))

    async def take(
        self,
        use: Use,
        tokens: float,
        *,
        max_wait_seconds: float | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> Charge:
        """Wait until a call of about so many tokens may be made; `waiting` is called now and then meanwhile.

        Raises:
            Unavailable: it would take longer than `max_wait_seconds` seconds, or Redis is out of reach.

        """
        if not self.limited:
            return Charge(tokens)
        waiter = _Waiter(Charge(tokens, f"{use}:{uuid4().hex}", use))
        deadline = None if max_wait_seconds is None else self._clock.monotonic() + max_wait_seconds
        queue = self._queues[use]
        queue.append(waiter)
        try:
            while True:
                wait = 0.0
                if queue[0] is waiter and not (wait := await self._try(waiter.charge)):
                    return replace(waiter.charge, since=self._clock.monotonic())
                if deadline is not None and self._clock.monotonic() + wait > deadline:
                    raise Unavailable("the embeddings server", "all that its limits allow is used", wait)
                waiting()
                if received := await self._receive(waiter, min(wait or _LONGEST_WAIT, _LONGEST_WAIT)):
                    return received
        except asyncio.CancelledError:
            # The answer that says it is taken may be on its way.
            with contextlib.suppress(Unavailable):
                await self._release(waiter.charge)
            raise
        finally:
            was_first = queue[0] is waiter
            queue.remove(waiter)
            if was_first:
                self._look_again()

    async def _receive(self, waiter: _Waiter, seconds: float) -> Charge | None:
        """Wait for so long, or until a call of this process ends; return the charge if its permit was transferred."""
        offer = waiter.offer = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait([offer], timeout=seconds)
            return await offer if waiter.is_receiving or offer.done() else None
        except asyncio.CancelledError:
            if not offer.cancelled() and not offer.cancel() and (received := offer.result()):
                await self._release(received)
            raise
        finally:
            waiter.offer, waiter.is_receiving = None, False

    def _look_again(self) -> None:
        """Wake the first of each use: there may be a permit."""
        for queue in self._queues.values():
            if queue and queue[0].is_open and (offer := queue[0].offer):
                offer.set_result(None)

    async def _try(self, charge: Charge) -> float:
        """Take, or return the seconds until that may succeed."""
        wait = await self._scripts.run(TAKE.call(self._keys, self._taking(charge))) / 1000
        self._is_preempted[charge.use] = wait < 0
        return abs(wait)

    def _taking(self, charge: Charge) -> TakeArguments:
        use = charge.use
        calls = self._limits.calls or 0
        # An import leaves one permit free.
        permits = max(1, calls - 1) if calls and use == "bulk" else calls
        uses = list(_HEADROOM)
        costs = (("requests", 1.0), ("tokens", charge.tokens))
        return TakeArguments(
            floor=_FLOORS[use],
            all_permits=calls,
            permit_floors={one: max(1, int(share * calls)) for one, share in _FLOORS.items()},
            starving_after=_STARVING_MS,
            lifetime=_KEPT_MS,
            use=use,
            more_urgent=uses[: uses.index(use)],
            headroom=_HEADROOM[use],
            permit=charge.permit,
            permits=permits,
            permit_lifetime=self._call_ms,
            retry_after=_LOOK_MS,
            waiter_mark_lifetime=_WAITER_MARK_MS,
            buckets=[BucketCharge(unit, *bucket, cost) for unit, cost in costs if (bucket := self._bucket(unit))],
        )

    async def correct(
        self, charge: Charge, *, tokens: float | None, quotas: Quotas, retry_after: float | None = None
    ) -> None:
        """Settle a call with what it really took and what the provider said; `retry_after` keeps everybody away.

        Raises:
            Unavailable: Redis is out of reach; the budget is then as it was.

        """
        reported: dict[str, Quota | None] = {"requests": quotas.requests, "tokens": quotas.tokens}
        self._reported.update({unit: quota.per_minute for unit, quota in reported.items() if quota is not None})
        owed = {"requests": 0.0, "tokens": 0.0 if tokens is None else tokens - charge.tokens}
        buckets = [
            BucketCorrection(unit, *bucket, owed[unit], bucket[1] if quota is None else quota.remaining)
            for unit, quota in reported.items()
            if (bucket := self._bucket(unit))
        ]
        if self.limited or retry_after:
            away = round((retry_after or 0.0) * 1000)
            await self._settle(charge, CorrectArguments(_KEPT_MS, charge.permit, away, buckets))

    async def _release(self, charge: Charge) -> None:
        if self._limits.calls:
            await self._correct(CorrectArguments(_KEPT_MS, charge.permit, 0, []))

    async def _correct(self, arguments: CorrectArguments) -> int:
        return await self._scripts.run(CORRECT.call(self._keys, arguments))

    def _may_transfer(self, charge: Charge, use: Use) -> bool:
        """Return whether a permit may go to this use without asking Redis: it lasts, and nobody more urgent waits."""
        uses = list(_HEADROOM)
        is_early = self._clock.monotonic() - charge.since < self._call_ms / 3000
        return is_early and uses.index(use) <= uses.index(charge.use) and not self._is_preempted.get(use, True)

    async def _settle(self, charge: Charge, arguments: CorrectArguments) -> None:
        """Settle a call, and transfer its permit to the most urgent waiter of this process, if that is allowed."""
        may_transfer = bool(self._limits.calls) and charge.transfers < _TRANSFERS
        open_ones = (waiter for use in _HEADROOM for waiter in self._queues[use] if waiter.is_open)
        next_waiter = next(open_ones, None) if may_transfer else None
        if next_waiter is None or next_waiter.offer is None:
            await self._correct(arguments)
            self._look_again()
            return
        next_waiter.is_receiving, offer, waiting_charge = True, next_waiter.offer, next_waiter.charge
        transferred: Charge | None = None
        try:
            is_plain = not arguments.buckets and not arguments.retry_after
            if is_plain and self._may_transfer(charge, waiting_charge.use):
                transferred = replace(
                    charge, use=waiting_charge.use, tokens=waiting_charge.tokens, transfers=charge.transfers + 1
                )
                return
            if await self._correct(replace(arguments, following=self._taking(waiting_charge))) == 0:
                transferred = replace(waiting_charge, since=self._clock.monotonic(), transfers=charge.transfers + 1)
                if offer.cancelled():
                    await self._release(transferred)
        finally:
            if not offer.done():
                offer.set_result(transferred)

    def _per_minute(self, unit: str) -> float | None:
        known = (self._limits.requests if unit == "requests" else self._limits.tokens, self._reported.get(unit))
        return min((limit for limit in known if limit is not None), default=None)

    def _bucket(self, unit: str) -> tuple[float, float] | None:
        """Return a bucket's refill per millisecond and its capacity; None without a limit."""
        limit = self._per_minute(unit)
        return None if limit is None else (limit * _SHARE / 60_000, max(_FEWEST, limit * _BURST_SHARE))
