"""Which TCP ports of this machine are free."""

import socket
from collections.abc import Iterable

from memstream.local.stack.failure import CannotStart
from memstream.local.stack.process_spec import ProcessSpec

_HOST = "127.0.0.1"
_HIGHEST = 65_535


def require_free(processes: Iterable[ProcessSpec]) -> None:
    """Check that the ports of the processes are free.

    Raises:
        CannotStart: some are not; the text names each of them.

    """
    wanted: dict[int, str] = {}
    for spec in processes:
        if spec.port:
            wanted.setdefault(spec.port, spec.name)
    beyond = [port for port in wanted if port > _HIGHEST]
    if beyond:
        raise CannotStart(f"port {beyond[0]} for {wanted[beyond[0]]} does not exist: choose a lower --port-base")
    taken = [f"port {port} for {name}" for port, name in wanted.items() if not is_free(port)]
    if taken:
        verb = "is" if len(taken) == 1 else "are"
        raise CannotStart(f"{', '.join(taken)} {verb} in use: stop what listens there, or choose another --port-base")


def is_free(port: int) -> bool:
    """Return whether a server could listen on a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do, so that closed connections in TIME_WAIT don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_base(count: int, *, first: int = 18_100, step: int = 20) -> int:
    """Return the first of `count` consecutive free ports.

    Raises:
        CannotStart: there are none.

    """
    for base in range(first, 32_000, step):
        if all(is_free(base + offset) for offset in range(count)):
            return base
    raise CannotStart(f"no {count} ports in a row are free from {first} on")
