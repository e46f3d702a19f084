"""`memstream delete --verify`: no byte is left of what was deleted.

What searches the files of a local stack comes from the distribution that runs it, as an entry point in the group
`memstream.residue`: a `Search`.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from memstream.client.command.failure import Failure
from memstream.contracts.messages import Erasure
from memstream.contracts.stack import Stack

ENTRY_POINT_GROUP = "memstream.residue"

FRAGMENT_CHARACTERS = 32
"""Of what is searched for: long enough to be a user's own, and short enough to lie within one chunk."""

_SHORTEST = 12
"""Characters of a text that can be searched for; fewer are in other texts, too."""

_ESCAPED = re.compile(r'[\x00-\x1f\x7f"\\]+')
"""Characters that JSON writes in another way."""


@dataclass(frozen=True, slots=True)
class StoreReport:
    """A store that was searched, and the places in it where something was found."""

    store: str
    places: Sequence[str] | None
    """None: it was not searched, since its server is not the stack's own."""


Search = Callable[[Path, Stack, Sequence[str]], Awaitable[list[StoreReport]]]
"""Searches all stores of the stack in a data directory for fragments of texts."""


def load_search() -> Search:
    """Return what searches a local stack.

    Raises:
        Failure: the distribution that runs local stacks is not installed.

    """
    for point in entry_points(group=ENTRY_POINT_GROUP):
        search: Search = point.load()
        return search
    raise Failure("--verify searches the files of a local stack, and needs the package memstream-local")


def fragments_of(texts: Iterable[str]) -> Iterator[str]:
    """Return parts of texts that are stored as they are: from the beginning, the middle and the end of each."""
    for text in texts:
        pieces = [piece.strip() for piece in _ESCAPED.split(text)]
        long_pieces = [piece for piece in pieces if len(piece) >= _SHORTEST]
        for piece in long_pieces[:1] + long_pieces[-1:]:
            middle = max(0, (len(piece) - FRAGMENT_CHARACTERS) // 2)
            yield piece[:FRAGMENT_CHARACTERS]
            yield piece[middle : middle + FRAGMENT_CHARACTERS]
            yield piece[-FRAGMENT_CHARACTERS:]


def report_lines(reports: Sequence[StoreReport], receipt: Erasure) -> Iterator[str]:
    """Return what to print: a line for each store."""
    for report in reports:
        if report.places is None:
            yield f"{report.store}: not searched, its server is not this stack's own"
        else:
            yield f"{report.store}: FOUND in {', '.join(report.places)}" if report.places else f"{report.store}: clean"
    for waiting in receipt.waiting:
        until = "a time that is not known" if waiting.until is None else f"{waiting.until:%Y-%m-%d %H:%M:%S %Z}"
        yield f"{waiting.store}: waits for its compaction, until {until} at the latest"


def may_end(receipt: Erasure, stack: Stack) -> bool:
    """Return whether what waits will end: of a Qdrant server that is not the stack's own, that is not known."""
    is_own = any(process.name == "qdrant" for process in stack.processes)
    return any(is_own or waiting.store != "qdrant" or waiting.until is not None for waiting in receipt.waiting)


def is_clean(reports: Sequence[StoreReport], receipt: Erasure) -> bool:
    """Return whether nothing was found and nothing waits."""
    return not receipt.waiting and not any(report.places for report in reports)
