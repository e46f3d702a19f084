"""What keeps the embedder from working just now; readiness and the log tell it."""

import asyncio
import logging
from collections.abc import Coroutine

from memstream.runtime.errors import GlobalFault, MemstreamError, Unavailable

_log = logging.getLogger(__name__)


class Trouble:
    """The failures that have not been overcome: the latest of each dependency."""

    def __init__(self) -> None:
        self._errors: dict[str, MemstreamError] = {}
        self._cleared: dict[str, asyncio.Event] = {}
        self._reading = False

    @property
    def present(self) -> bool:
        """Something is wrong."""
        return bool(self._errors)

    def report(self, error: Unavailable | GlobalFault) -> None:
        """Note a failure; a new one is logged, a repetition is not."""
        known = self._errors.get(error.dependency)
        if known is None or str(known) != str(error):
            level = logging.ERROR if isinstance(error, GlobalFault) else logging.WARNING
            _log.log(level, "waiting: %s", error)
        self._errors[error.dependency] = error

    def clear(self, dependency: str) -> None:
        """Note that a dependency works again."""
        error = self._errors.pop(dependency, None)
        if error is not None:
            _log.info("going on after: %s", error)
            self._cleared.pop(dependency, asyncio.Event()).set()

    async def until_cleared(self, dependency: str, pause: Coroutine[object, object, None]) -> None:
        """Come back when the pause is over, or as soon as the dependency works again."""
        cleared = self._cleared.setdefault(dependency, asyncio.Event())
        waiting = [asyncio.create_task(pause), asyncio.create_task(cleared.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def note_reading(self) -> None:
        """Note that the start is over."""
        self._reading = True

    async def check(self) -> None:
        """Return if messages are read and nothing is wrong.

        Raises:
            Unavailable, GlobalFault: what is wrong.

        """
        for error in self._errors.values():
            # Raised again and again, it would gather the frames of everybody who asked.
            raise error.with_traceback(None)
        if not self._reading:
            raise Unavailable("the embedder", "it does not read yet")
