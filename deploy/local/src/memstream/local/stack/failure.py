"""Why a stack can't start."""

from collections.abc import Sequence

from memstream.runtime.errors import MemstreamError


class CannotStart(MemstreamError):
    """The stack can't start. The text is one line for its user."""

    def __init__(self, message: str, log_tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log_tail = log_tail
        """The last lines of the log of the child that failed."""
