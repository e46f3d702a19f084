"""What a child process is, as data."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

Probe = Callable[[int], Awaitable[str | None]]
"""Asks what listens on a port of this machine: None when it is ready, else why not. It takes two seconds at most."""


@dataclass(frozen=True, slots=True)
class Child:
    """A program that is kept running; or, with `lasts=False`, one that has to succeed once.

    It counts as ready when its probe says so, or it ended with 0. Children that `share_port` listen on it together;
    then each has to listen itself, too.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    probe: Probe | None = None
    url: str = ""
    share_port: bool = False
    lasts: bool = True


Stage = Sequence[Child]
"""Children that start together, once those of the stages before are ready."""
