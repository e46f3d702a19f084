"""When a server that fails is left alone for a while. Pure: the time is passed in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PausePolicy:
    """When a pause begins, and how long it is."""

    failures: int = 3
    """Failures in a row that begin a pause. One alone may be a single slow answer."""
    seconds: float = 5.0
    longest: float = 60.0
    """Seconds, if the server asks for more."""


class Pause:
    """Says whether the server may be asked. After a pause one call tries it, and the others wait for its result."""

    def __init__(self, policy: PausePolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._until = 0.0

    def is_on(self, now: float) -> bool:
        """Return whether the server is left alone now."""
        return now < self._until

    def may_call(self, now: float) -> bool:
        """Return whether the caller may ask the server now."""
        if self.is_on(now):
            return False
        if self._failures >= self._policy.failures:
            # This call tries the server. If nothing is heard of it, another one may after a while.
            self._until = now + self._policy.seconds
        return True

    def note_success(self) -> None:
        """Note that the server did what it was asked to: a pause ends."""
        self._failures = 0
        self._until = 0.0

    def note_failure(self, now: float) -> None:
        """Note that the server failed."""
        self._failures += 1
        if self._failures >= self._policy.failures:
            self.begin(now)

    def begin(self, now: float, seconds: float | None = None) -> None:
        """Begin a pause at once, of so many seconds if the server said so."""
        self._failures = self._policy.failures
        self._until = now + min(self._policy.seconds if seconds is None else seconds, self._policy.longest)
