"""Tables and figures as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def share(value: float) -> str:
    """Return a share in percent, with a tenth."""
    return f"{100 * value:.1f}"


def percent(value: float) -> str:
    """Return a share in whole percents, with the sign."""
    return f"{100 * value:.0f}%"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def measured(figures: Sequence[float]) -> str:
    """Return a mean and its interval, in percent."""
    mean, low, high = figures
    return f"{share(mean)} ({100 * low:.0f}-{100 * high:.0f})"


def verdict(*, met: bool) -> str:
    """Return whether a target is met."""
    return "yes" if met else "**no**"
