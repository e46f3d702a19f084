"""The open connections of a process: how many there are, and which have to go. Knows no network."""

import ipaddress
from collections import Counter, defaultdict
from typing import Protocol


class Connection(Protocol):
    """A connection, as far as it matters here."""

    address: str
    deadline: float
    """When it has to go; infinity while its client is waited for by nobody."""

    def expire(self) -> None:
        """End the connection, whose deadline is over."""

    def give_way(self) -> None:
        """End the connection in favour of a new one."""


def network_of(host: str) -> str:
    """Return what counts as one client: an IPv4 address, or the first 64 bits of an IPv6 address."""
    if ":" not in host:
        return host
    try:
        return str(ipaddress.IPv6Network((int(ipaddress.IPv6Address(host.partition("%")[0])), 64), strict=False))
    except ValueError:
        return host


class ConnectionTable:
    """Keeps the number of connections within limits, in total and per address.

    When there are too many, one that keeps us waiting gives way to the new one: the one that has waited longest, of the
    new one's address if that has its share, else of the address with the most connections. So nobody can take all
    connections by being slow.
    """

    def __init__(self, *, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._open: dict[Connection, None] = {}
        self._counts: Counter[str] = Counter()
        # In the order in which they began to wait.
        self._waiting: defaultdict[str, dict[Connection, None]] = defaultdict(dict)

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    def add(self, connection: Connection) -> bool:
        """Add a new connection, whose client is waited for; return False if there is no room for it."""
        address = connection.address
        has_room = True
        if self._counts[address] >= self._per_address:
            has_room = self._make_room(address)
        elif len(self._open) >= self._total:
            has_room = self._make_room(max(self._counts, key=self._counts.__getitem__)) or self._make_room(address)
        if has_room:
            self._open[connection] = None
            self._counts[address] += 1
            self.wait_for(connection)
        return has_room

    def wait_for(self, connection: Connection) -> None:
        """Note that it is the client's turn to send something."""
        if connection in self._open:
            self._waiting[connection.address][connection] = None

    def work_for(self, connection: Connection) -> None:
        """Note that the client sent all it had to send, and waits for us."""
        waiting = self._waiting.get(connection.address)
        if waiting:
            waiting.pop(connection, None)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        if connection not in self._open:
            return
        del self._open[connection]
        self.work_for(connection)
        address = connection.address
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]
            self._waiting.pop(address, None)

    def expire(self, now: float) -> None:
        """End all connections whose deadline is over."""
        for connection in [each for each in self._open if each.deadline <= now]:
            connection.expire()

    def _make_room(self, address: str) -> bool:
        """End the connection of an address that has been waited for longest; return False if there is none."""
        waiting = self._waiting.get(address)
        if not waiting:
            return False
        connection = next(iter(waiting))
        self.remove(connection)
        connection.give_way()
        return True
