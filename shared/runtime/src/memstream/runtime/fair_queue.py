"""A queue that is fair over keys, such as tenants: who has much waiting delays others by one item at most. Pure.

It is start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996). Like deficit round robin
it serves keys in turn and by cost, but needs no quantum: with one that fits costs of 1,000, a key could take 1,000
items of cost 1 before the next key's turn.
"""

import heapq
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ItemT = TypeVar("ItemT")


@dataclass(slots=True)
class _Line(Generic[ItemT]):
    """What waits of one key."""

    items: deque[tuple[ItemT, float]] = field(default_factory=deque)
    """Each with its cost."""


class FairQueue(Generic[KeyT, ItemT]):
    """Items wait by key, each with a cost. Keys with items waiting are served in shares of equal cost.

    - While two keys both have items waiting, what they were served differs by at most the largest cost of the one plus
      the largest cost of the other.
    - A key that had nothing waiting is served after at most one item of each other key.
    - The items of one key keep their order.
    - A key that had nothing waiting saves nothing up.
    """

    def __init__(self, *, each: int | None = None, total: int | None = None) -> None:
        """Make it. At most `each` items wait of one key and `total` of all; None is no limit."""
        self._each = each
        self._total = total
        self._lines: dict[KeyT, _Line[ItemT]] = {}
        # The lines by what they were served: one entry for each line. Of equals, who waits for its turn the longest.
        self._turns: list[tuple[float, int, KeyT]] = []
        self._numbers = count()
        self._served = 0.0
        """What a key was served that has always had something waiting, in cost."""
        self._count = 0

    def __len__(self) -> int:
        """Return how many items wait."""
        return self._count

    def waiting(self, key: KeyT) -> int:
        """Return how many items of a key wait."""
        line = self._lines.get(key)
        return 0 if line is None else len(line.items)

    def push(self, key: KeyT, item: ItemT, cost: float = 1.0) -> ItemT | None:
        """Add an item, and return the one that finds no place: None, mostly.

        That is the new one if its key has as many waiting as it may. If all places are taken, it is the last one of
        the key with the most waiting: so a key with less always finds a place.
        """
        if self._each is not None and self.waiting(key) >= self._each:
            return item
        displaced: ItemT | None = None
        if self._total is not None and self._count >= self._total:
            most = max(self._lines, key=self.waiting, default=key)
            if self.waiting(most) <= self.waiting(key) + 1:
                return item
            displaced, _ = self._lines[most].items.pop()
            self._count -= 1
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line()
            heapq.heappush(self._turns, (self._served, next(self._numbers), key))
        line.items.append((item, cost))
        self._count += 1
        return displaced

    def pop(self) -> tuple[KeyT, ItemT]:
        """Remove the next item, and return it with its key.

        Raises:
            IndexError: nothing waits.

        """
        while True:
            served, _, key = self._turns[0]
            line = self._lines[key]
            if line.items:
                break
            # Others were served as much by now: nothing has to be remembered of it.
            heapq.heappop(self._turns)
            del self._lines[key]
        item, cost = line.items.popleft()
        self._served = served
        heapq.heapreplace(self._turns, (served + cost, next(self._numbers), key))
        self._leave()
        return key, item

    def remove(self, key: KeyT, item: ItemT) -> bool:
        """Remove an item wherever it waits, and return whether it did. It costs its key nothing."""
        line = self._lines.get(key)
        for place, (waiting, _) in enumerate(line.items if line is not None else ()):
            if waiting is item and line is not None:
                del line.items[place]
                self._leave()
                return True
        return False

    def _leave(self) -> None:
        self._count -= 1
        if not self._count:
            self._lines.clear()
            self._turns.clear()
            self._served = 0.0
