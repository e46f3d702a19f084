"""Ports of this machine."""

import socket
from collections.abc import Iterable

from memstream.local.stack.child import Child
from memstream.local.stack.failure import CannotStart

_HOST = "127.0.0.1"
_HIGHEST = 65_535


def require_free(children: Iterable[Child]) -> None:
    """Make sure that nothing listens where the children are to listen.

    Raises:
        CannotStart: something does; the text names every such port.

    """
    wanted: dict[int, str] = {}
    for child in children:
        if child.port:
            wanted.setdefault(child.port, child.name)
    beyond = [port for port in wanted if port > _HIGHEST]
    if beyond:
        raise CannotStart(f"port {beyond[0]} for {wanted[beyond[0]]} does not exist: choose a lower --port-base")
    taken = [f"port {port} for {name}" for port, name in wanted.items() if not is_free(port)]
    if taken:
        verb = "is" if len(taken) == 1 else "are"
        raise CannotStart(f"{', '.join(taken)} {verb} in use: stop what listens there, or choose another --port-base")


def is_free(port: int) -> bool:
    """Say whether a server could listen on a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: the leftovers of closed connections don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_base(count: int, *, first: int = 18_100, step: int = 20) -> int:
    """Find a port from which on `count` ports are free.

    Raises:
        CannotStart: there is none.

    """
    for base in range(first, 32_000, step):
        if all(is_free(base + offset) for offset in range(count)):
            return base
    raise CannotStart(f"no {count} ports in a row are free from {first} on")
