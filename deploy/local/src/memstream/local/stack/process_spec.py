"""What the supervisor needs to know of a process."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

Probe = Callable[[int], Awaitable[str | None]]
"""Checks the server on a port of its host: returns None if it is ready, else why not, within two seconds."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A program to run, and how to tell that it is ready.

    With `restart` it is started again whenever it ends; without, it has to exit once with code 0. Processes with
    `share_port` listen on the same port; each is ready only once it listens itself.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    probe: Probe | None = None
    url: str = ""
    share_port: bool = False
    restart: bool = True


Stage = Sequence[ProcessSpec]
"""Processes that start together, once those of all earlier stages are ready."""
