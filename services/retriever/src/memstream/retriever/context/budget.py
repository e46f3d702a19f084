"""How many tokens a context will have, without counting the whole of it for each passage. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_FIRST = "[1]"


@dataclass(frozen=True, slots=True)
class Line:
    """A passage as it is quoted, with the number 1."""

    text: str
    tokens: int
    """Of the line, its end, and a blank line after it."""
    backticks: int
    """The longest run of backticks in it."""


@dataclass(slots=True)
class Estimate:
    """The size of a context that lines are added to: at most so many tokens, and nearly as many.

    Tokenizers cut texts at the ends of lines before anything else, so the tokens of lines add up. What is not known is
    which lines end a conversation, and so have a blank line after them, which costs a token at the most.
    """

    count: Callable[[str], int]
    frame: Callable[[int], int]
    """Returns the tokens of all that is around the lines, if the longest run of backticks in them is so long."""
    tokens: int = 0
    lines: int = 0
    backticks: int = 0
    _numbers: int = 0
    """Tokens of the numbers beyond those of as many ones."""

    def with_lines(self, more: Sequence[Line]) -> "Estimate":
        """Return the estimate with these lines too."""
        backticks = max([self.backticks, *(line.backticks for line in more)])
        numbers, first = self._numbers, self.count(_FIRST)
        for number in range(self.lines + 1, self.lines + len(more) + 1):
            numbers += self.count(f"[{number}]") - first
        return Estimate(
            self.count,
            self.frame,
            self.tokens + sum(line.tokens for line in more),
            self.lines + len(more),
            backticks,
            numbers,
        )

    @property
    def most(self) -> int:
        """Tokens at the most."""
        return self.tokens + self._numbers + self.frame(self.backticks)

    @property
    def least(self) -> int:
        """Tokens at the least."""
        return self.most - 2 * self.lines - 1
