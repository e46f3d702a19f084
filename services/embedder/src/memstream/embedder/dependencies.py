"""The dependencies that are failing. Readiness and the log report them."""

import asyncio
import logging
from collections.abc import Coroutine

from memstream.runtime.errors import GlobalFault, MemstreamError, Unavailable

_log = logging.getLogger(__name__)


class DependencyFaults:
    """The latest fault of each dependency that has not recovered yet."""

    def __init__(self) -> None:
        self._errors: dict[str, MemstreamError] = {}
        self._recovered: dict[str, asyncio.Event] = {}
        self._is_reading = False

    @property
    def is_empty(self) -> bool:
        """No dependency is known to fail."""
        return not self._errors

    def report(self, error: Unavailable | GlobalFault) -> None:
        """Note a fault. A new one is logged, a repetition is not."""
        known = self._errors.get(error.dependency)
        if known is None or str(known) != str(error):
            level = logging.ERROR if isinstance(error, GlobalFault) else logging.WARNING
            _log.log(level, "dependency failing, retrying: %s", error)
        self._errors[error.dependency] = error

    def clear(self, dependency: str) -> None:
        """Note that a dependency works, and wake everybody who waits for it."""
        error = self._errors.pop(dependency, None)
        if error is not None:
            _log.info("recovered from: %s", error)
            self._recovered.pop(dependency, asyncio.Event()).set()

    async def until_cleared(self, dependency: str, pause: Coroutine[object, object, None]) -> None:
        """Return when the pause is over, or as soon as the dependency works again."""
        recovered = self._recovered.setdefault(dependency, asyncio.Event())
        waiting = [asyncio.create_task(pause), asyncio.create_task(recovered.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def note_reading(self) -> None:
        """Note that the worker has begun to read the streams."""
        self._is_reading = True

    async def check(self) -> None:
        """Raise unless the streams are read and no dependency is failing.

        Raises:
            Unavailable, GlobalFault: the fault, or that reading has not begun.

        """
        for error in self._errors.values():
            # Re-raising the same object would grow its traceback.
            raise error.with_traceback(None)
        if not self._is_reading:
            raise Unavailable("the embedder", "has not started reading the streams")
