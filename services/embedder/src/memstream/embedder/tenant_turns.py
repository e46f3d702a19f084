"""Whose item goes next, where several tenants share something scarce. Pure.

Deficit round robin (Shreedhar and Varghese, "Efficient fair queuing using deficit round robin", 1996): tenants take
turns. Each turn adds the same amount to what a tenant may spend, and its items are taken as long as that pays for them.

`memstream.runtime.fair_queue` changes the tenant with every item. Here a turn is several items, so that those of one
tenant can share a batch of their own.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class TenantTurns(Generic[ItemT]):
    """Items of tenants: those of one tenant in order, and each tenant's at the same cost per round.

    A tenant that comes anew waits for one turn of each other tenant at most, however many items those have.
    """

    def __init__(self, cost: Callable[[ItemT], float], per_turn: float) -> None:
        self._cost = cost
        self._per_turn = per_turn
        self._items: dict[str, deque[ItemT]] = {}
        self._turns: deque[str] = deque()
        self._credit: dict[str, float] = {}
        self._is_turn_begun = False

    def __bool__(self) -> bool:
        """Return whether an item waits."""
        return bool(self._turns)

    def add(self, tenant: str, item: ItemT) -> None:
        """Queue an item behind those of its tenant."""
        if tenant in self._items:
            self._items[tenant].append(item)
            return
        self._items[tenant] = deque([item])
        self._credit[tenant] = 0.0
        self._turns.append(tenant)

    def peek(self) -> tuple[str, ItemT]:
        """Return the next item and its tenant. There must be one."""
        while True:
            tenant = self._turns[0]
            item = self._items[tenant][0]
            if not self._is_turn_begun:
                self._credit[tenant] += self._per_turn
                self._is_turn_begun = True
            if self._credit[tenant] >= self._cost(item):
                return tenant, item
            self._turns.rotate(-1)
            self._is_turn_begun = False

    def pop(self) -> tuple[str, ItemT]:
        """Take and return the next item and its tenant. There must be one."""
        tenant, item = self.peek()
        self._items[tenant].popleft()
        self._credit[tenant] -= self._cost(item)
        if not self._items[tenant]:
            # Nothing is saved up while nothing waits.
            self.remove(tenant)
        return tenant, item

    def remove(self, tenant: str) -> list[ItemT]:
        """Take and return all items of a tenant, in order."""
        items = self._items.pop(tenant, None)
        if items is None:
            return []
        del self._credit[tenant]
        self._is_turn_begun = self._is_turn_begun and tenant != self._turns[0]
        self._turns.remove(tenant)
        return list(items)
