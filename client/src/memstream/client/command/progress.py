"""Progress of long work, on stderr: a bar on a terminal, a line every few seconds elsewhere."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from memstream.client._errors import MemstreamClientError

_SECONDS_BETWEEN_LINES = 5.0


class ProgressDisplay(Protocol):
    """Shows how far long work is."""

    def __enter__(self) -> Self:
        """Begin to show progress."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the display."""
        ...

    def advance(self, amount: int, status: str) -> None:
        """Add to the amount of work that is done; `status` describes it."""
        ...

    def print_line(self, text: str) -> None:
        """Print a line of text, besides the progress."""
        ...


class ProgressBar:
    """A bar that grows, or a spinner if the total is not known."""

    def __init__(self, console: Console, total: int | None) -> None:
        columns = (BarColumn(), TimeRemainingColumn()) if total is not None else (SpinnerColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, TextColumn("{task.description}", markup=False), console=console)
        self._task: TaskID = self._progress.add_task("", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, amount: int, status: str) -> None:
        """Move the bar."""
        self._progress.update(self._task, advance=amount, description=status)

    def print_line(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(Text(text))


class ProgressLines:
    """A line of status every five seconds; `seconds` is a clock."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._printed_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def advance(self, amount: int, status: str) -> None:  # noqa: ARG002 - as a ProgressDisplay
        """Print the status, unless one was printed a moment ago."""
        now = self._seconds()
        if self._printed_at is None:
            self._printed_at = now
        elif now - self._printed_at >= _SECONDS_BETWEEN_LINES:
            self._printed_at = now
            self.print_line(status)

    def print_line(self, text: str) -> None:
        """Print a line."""
        typer.echo(text, err=True)


def progress_display(total: int | None) -> ProgressDisplay:
    """Return the display for work of this size, or of unknown size if `total` is None. Needs a running event loop."""
    console = Console(stderr=True)
    return ProgressBar(console, total) if console.is_terminal else ProgressLines(asyncio.get_running_loop().time)


def retry_printer(display: ProgressDisplay) -> Callable[[MemstreamClientError, float], None]:
    """Return a callback, for `on_wait` of a client, that prints each failure and when the next attempt is."""

    def print_failure(error: MemstreamClientError, seconds: float) -> None:
        display.print_line(f"{error}; next try in {seconds:.1f} s")

    return print_failure
