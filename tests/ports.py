"""Ports for the servers of tests: no two processes of tests are given the same, however many run beside each other."""

import socket
import sys
from functools import cache

_HOST = "127.0.0.1"
_LOWEST = 20_000
_HIGHEST = 32_000
"""Below the range from which the system takes ports for outgoing connections: one of those may be taken at any time."""
_RANGE = 600


class Ports:
    """A range of ports that this process has for itself as long as it lives: it holds the first of them."""

    def __init__(self) -> None:
        self._held = _hold()
        self._first = int(self._held.getsockname()[1]) + 1
        self._end = self._first + _RANGE - 1
        self._next = self._first

    @property
    def number(self) -> int:
        """Which of the ranges it is; another process that runs at the same time has another."""
        return (self._first - 1 - _LOWEST) // _RANGE

    def free(self, count: int = 1) -> int:
        """Return a port that nothing listens on, with `count` - 1 such ports behind it.

        They go round: one comes again only when all others have been given out.
        """
        for _ in range(_RANGE):
            base = self._next if self._next + count <= self._end else self._first
            self._next = base + count
            if all(_is_free(port) for port in range(base, base + count)):
                return base
        sys.exit(f"no {count} free ports in a row from {self._first} on")


def _hold() -> socket.socket:
    for base in range(_LOWEST, _HIGHEST, _RANGE):
        held = socket.socket()
        try:
            held.bind((_HOST, base))
        except OSError:
            held.close()
            continue
        return held
    sys.exit("other tests have taken all ranges of ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


@cache
def _own() -> Ports:
    return Ports()


def free_ports(count: int = 1) -> int:
    """Return a port that nothing listens on, with `count` - 1 such ports behind it, from the range of this process."""
    return _own().free(count)


def range_number() -> int:
    """Return a number that no other process of tests has at the same time."""
    return _own().number
