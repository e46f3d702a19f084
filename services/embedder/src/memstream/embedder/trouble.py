"""What keeps the embedder from working just now; readiness and the log tell it."""

import logging

from memstream.runtime.errors import GlobalFault, MemstreamError, Unavailable

_log = logging.getLogger(__name__)


class Trouble:
    """The latest failure that has not been overcome."""

    def __init__(self) -> None:
        self._error: MemstreamError | None = None

    def report(self, error: Unavailable | GlobalFault) -> None:
        """Note a failure; a new one is logged, a repetition is not."""
        if self._error is None or str(self._error) != str(error):
            level = logging.ERROR if isinstance(error, GlobalFault) else logging.WARNING
            _log.log(level, "waiting: %s", error)
        self._error = error

    def clear(self) -> None:
        """Note that it works again."""
        if self._error is not None:
            _log.info("going on after: %s", self._error)
        self._error = None

    async def check(self) -> None:
        """Return if nothing is wrong.

        Raises:
            Unavailable, GlobalFault: what is wrong.

        """
        if self._error is not None:
            raise self._error
