"""What is shown during long work: a bar on a terminal, a line now and then elsewhere. All of it on stderr."""

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

_SECONDS_BETWEEN_LINES = 5.0


class View(Protocol):
    """Where long work says how far it is."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear away."""
        ...

    def advance(self, span: int, counts: str) -> None:
        """So much more of the total is done."""
        ...

    def note(self, text: str) -> None:
        """Say something in a line of its own."""
        ...


class Bar:
    """A bar that grows with what is done, or a spinner where the total isn't known."""

    def __init__(self, console: Console, total: int | None) -> None:
        measure = (BarColumn(), TimeRemainingColumn()) if total is not None else (SpinnerColumn(), TimeElapsedColumn())
        self._progress = Progress(*measure, TextColumn("{task.description}", markup=False), console=console)
        self._task: TaskID = self._progress.add_task("", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, span: int, counts: str) -> None:
        """So much more of the total is done."""
        self._progress.update(self._task, advance=span, description=counts)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(Text(text))


class PlainLines:
    """A line every five seconds."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._shown: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def advance(self, span: int, counts: str) -> None:  # noqa: ARG002 - as a View
        """Say how far it is, if that was not said lately."""
        now = self._seconds()
        if self._shown is None:
            self._shown = now
        elif now - self._shown >= _SECONDS_BETWEEN_LINES:
            self._shown = now
            self.note(counts)

    def note(self, text: str) -> None:
        """Print a line."""
        typer.echo(text, err=True)


def view_for(console: Console, total: int | None, seconds: Callable[[], float]) -> View:
    """Choose how to show progress; `console` writes to stderr."""
    return Bar(console, total) if console.is_terminal else PlainLines(seconds)
