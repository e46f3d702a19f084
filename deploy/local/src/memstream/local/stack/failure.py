"""The error of a stack that can't start."""

from collections.abc import Sequence

from memstream.runtime.errors import MemstreamError


class CannotStart(MemstreamError):
    """The stack can't start; the text is one line for the user."""

    def __init__(self, message: str, log_tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log_tail = log_tail
        """The last lines of the log of the process that failed."""
