"""Retrying what fails because of a dependency, until it succeeds: the only place of the embedder that backs off."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from memstream.embedder.dependencies import DependencyFaults
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Throttled, Unavailable

ResultT = TypeVar("ResultT")

_SUSPICIOUS_FAILURES = 6
"""After every so many failures in a row, `is_input_suspected` is asked."""


class InputSuspected(MemstreamError):
    """The call keeps failing although the servers work: its input may be the cause."""


def _ignore(_error: Unavailable | GlobalFault) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class Retrier:
    """How calls are repeated: the wait between them, and who is notified of failures."""

    faults: DependencyFaults
    clock: Clock
    rng: Random
    backoff: Backoff
    beat: Callable[[], None]
    """Called at each failure, since waiting for a dependency counts as progress."""
    count: Callable[[Unavailable | GlobalFault], None] = _ignore
    longest_wait: float = 60.0
    """Seconds. Also the bound of a Retry-After."""

    async def until_success(
        self,
        call: Callable[[], Awaitable[ResultT]],
        *,
        is_input_suspected: Callable[[], Awaitable[bool]] | None = None,
    ) -> ResultT:
        """Return the call's result, repeating it as long as a dependency is unavailable or misconfigured.

        The faults of its dependencies are reported while it fails, and cleared when it ends.

        Raises:
            Rejected: the dependency refuses this input.
            InputSuspected: it failed several times in a row, and `is_input_suspected` blames the input.

        """
        failures = 0
        failed: set[str] = set()
        while True:
            try:
                result = await call()
            except (Unavailable, GlobalFault) as error:
                failures += 1
                failed.add(error.dependency)
                self.faults.report(error)
                self.count(error)
                self.beat()
                if is_input_suspected and failures % _SUSPICIOUS_FAILURES == 0 and await is_input_suspected():
                    self._clear(failed)
                    raise InputSuspected(str(error)) from error
                await self._wait(error, failures)
            except Rejected:
                # A server that refuses one input works.
                self._clear(failed)
                raise
            else:
                self._clear(failed)
                return result

    async def _wait(self, error: Unavailable | GlobalFault, failures: int) -> None:
        retry_after = error.retry_after if isinstance(error, Unavailable) else None
        delay = max(retry_after or 0.0, self.backoff.delay(failures, self.rng))
        pause = self.clock.sleep(min(delay, self.longest_wait))
        if retry_after or isinstance(error, Throttled):
            await pause
        else:
            # Another call may find out earlier that the dependency works again.
            await self.faults.until_cleared(error.dependency, pause)

    def _clear(self, dependencies: set[str]) -> None:
        for dependency in dependencies:
            self.faults.clear(dependency)
