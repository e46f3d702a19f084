"""What the records of a growing Qdrant server say, by its number of messages and the way that vectors are kept."""

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_DISK = re.compile(
    r"Qdrant's disk, (?P<where>(?P<messages>[\d,]+) messages, (?P<users>[\d,]+) users(?:, (?P<variant>\S+))?)"
)


@dataclass(frozen=True, slots=True)
class Grown:
    """A Qdrant that was measured with so many messages; `where` ends the names of its figures."""

    variant: str
    messages: int
    users: int
    where: str

    @property
    def history(self) -> int:
        """How many messages each user had."""
        return self.messages // self.users

    @property
    def memory(self) -> str:
        """The figure of the memory that it takes by itself, after a start and before anybody asks."""
        return f"Qdrant's resident memory with mapped files, {self.where}, after the start"

    @property
    def memory_in_use(self) -> str:
        """The figure of the memory that it takes after searches."""
        return f"Qdrant's resident memory with mapped files, {self.where}"

    @property
    def search_cpu(self) -> str:
        """The figure of Qdrant's CPU for a search."""
        return f"Qdrant's CPU for a search, {self.where}"

    @property
    def disk(self) -> str:
        """The figure of its disk."""
        return f"Qdrant's disk, {self.where}"


def read_growth(folder: Path) -> dict[str, float]:
    """Return all figures of a Qdrant server that grew: the records whose names begin with `growth-server`."""
    figures: dict[str, float] = {}
    for file in sorted(folder.glob("growth-server*.json")):
        figures |= medians(file)
    return figures


def medians(file: Path) -> dict[str, float]:
    """Return the median of each figure of a record."""
    figures = json.loads(file.read_text())["figures"]
    return {figure["name"]: statistics.median(figure["values"]) for figure in figures}


def grown_in(figures: Mapping[str, float]) -> list[Grown]:
    """Return what was measured to its end."""
    return [
        Grown(
            words["variant"] or "none",
            int(words["messages"].replace(",", "")),
            int(words["users"].replace(",", "")),
            words["where"],
        )
        for words in map(_DISK.fullmatch, figures)
        if words is not None
    ]


def longest_histories(found: Sequence[Grown]) -> Grown:
    """Return the one whose users had the most messages each, with vectors as they are."""
    return max((each for each in found if each.variant == "none"), key=lambda each: each.history)


def titled(variant: str) -> str:
    """Return the settings of a variant in words."""
    quantization, _, place = variant.partition("+")
    return f"`{quantization}`" + (", vectors on disk" if place else "")
