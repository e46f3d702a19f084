"""Which lane's batch goes next. Pure: the time and the limits are passed in."""

from collections.abc import Mapping

from memstream.contracts.keys import LANES, Lane
from memstream.embedder.bulk_throttle import BulkThrottle

LIVE_BATCHES_PER_TURN = 8
"""After so many live batches in a row, it is an import's turn, if one is due."""


class LaneScheduler:
    """Gives the slots, which are calls to the provider that may be in flight, to the batches of the lanes.

    Live goes before bulk, except for an import's turn now and then, so that it doesn't stand still. An import leaves
    one slot free, if there is more than one; the first live batch may exceed the limit, so that an import that has all
    slots can't hold it up. While live messages come, the batches of an import in progress are limited by a throttle.
    """

    def __init__(self, throttle: BulkThrottle) -> None:
        self._throttle = throttle
        self._calls: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self._bulk_in_progress = 0
        self._live_in_a_row = 0

    @property
    def calls(self) -> int:
        """Slots in use."""
        return sum(self._calls.values())

    def slots(self, lane: Lane, limit: int) -> int:
        """Return how many of `limit` slots may be in use after a batch of this lane has begun."""
        return limit if lane == "live" else max(1, limit - 1)

    def choose(self, due: Mapping[Lane, float | None], limit: int, now: float) -> Lane | None:
        """Return the lane whose batch may begin now. `due` has the seconds until one is due, None where none waits."""
        lanes = reversed(LANES) if self._is_bulks_turn else LANES
        return next((lane for lane in lanes if due[lane] == 0.0 and self._may_begin(lane, limit, now)), None)

    def next_due(self, due: Mapping[Lane, float | None], limit: int, now: float) -> float | None:
        """Return the seconds until a batch is due that may begin, None if there is no such batch."""
        waits = (due[lane] for lane in LANES if self._may_begin(lane, limit, now))
        return min((wait for wait in waits if wait is not None), default=None)

    def _may_begin(self, lane: Lane, limit: int, now: float) -> bool:
        if lane == "bulk" and self._bulk_in_progress >= self._throttle.allowed(now):
            return False
        is_first_live = lane == "live" and not self._calls["live"]
        # Live messages leave no second slot free for an import's turn.
        slots = limit if self._is_bulks_turn else self.slots(lane, limit)
        return is_first_live or self.calls < slots

    @property
    def _is_bulks_turn(self) -> bool:
        return self._live_in_a_row >= LIVE_BATCHES_PER_TURN

    def begin(self, lane: Lane) -> None:
        """Note that a batch begins, and takes a slot."""
        self._calls[lane] += 1
        self._bulk_in_progress += lane == "bulk"
        self._live_in_a_row = self._live_in_a_row + 1 if lane == "live" else 0

    def free_slot(self, lane: Lane) -> None:
        """Note that a batch has its vectors, or can't get them."""
        self._calls[lane] -= 1

    def finish(self, lane: Lane, seconds: float, now: float) -> None:
        """Note that a batch is acknowledged, so many seconds after it had its vectors."""
        if lane == "live":
            self._throttle.note_live(seconds, now)
        else:
            self._bulk_in_progress -= 1

    def drop(self, lane: Lane) -> None:
        """Note that a batch was refused, so that nothing of it is stored."""
        self._bulk_in_progress -= lane == "bulk"
