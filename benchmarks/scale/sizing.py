"""How much a number of messages takes, by arithmetic from what was measured.

    python -m benchmarks.scale.sizing [--results FOLDER] [--page deploy/README.md]

prints the tables for operators, or writes each between its two markers of a page.
"""

import argparse
import math
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.grown import grown_in, longest_histories, medians, read_growth, titled
from benchmarks.scale.kept_vectors import render_kept

BEGIN = "<!-- sizing: written by python -m benchmarks.scale.sizing -->"
END = "<!-- end of sizing -->"
NUMBERS = (10**6, 10**8, 10**10)

_ROOT = Path(__file__).parents[2]
_MILLION = 1e6
_MIB, _GIB = 2**20, 2**30
_DAYS = 365
_PEAK = 4
_SEEN_DAYS = 7
_LOAD = 0.5
_LEAST = 0.01
_WIDTH = 140


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured. CPU is in seconds for a million messages or searches, the rest in bytes for a message."""

    ingest: float
    embedder: float
    retriever: float
    redis: float
    """Of accepting and of storing a message, together."""
    qdrant: float
    """Of storing a message, its indexes included."""
    search: float
    """Of Qdrant, for a search."""
    history: int
    """Messages of the user who was asked for in it."""
    entry: float
    """Redis' memory for a message in the stream."""
    seen: float
    """Redis' memory for what is left of a message when it has left the stream."""
    disk: Mapping[str, float]
    memory: Mapping[str, float]
    """Qdrant's, by the way that vectors are kept."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a number of messages takes; cores are those that are busy at the peak."""

    messages: int
    per_second: float
    cores: Mapping[str, float]
    processes: Mapping[str, int]
    redis_memory: float
    redis_core: float
    qdrant_disk: Mapping[str, float]
    qdrant_memory: Mapping[str, float]


def size_of(measured: Measured, messages: int) -> Size:
    """Return what messages take that come within a year, at the peak of a day, with a search for each of them."""
    daily = messages / _DAYS
    peak = _PEAK * daily / 86_400
    cores = {
        "ingest": peak * measured.ingest / _MILLION,
        "embedder": peak * measured.embedder / _MILLION,
        "retriever": peak * measured.retriever / _MILLION,
        "Qdrant": peak * (measured.qdrant + measured.search) / _MILLION,
    }
    services = ("ingest", "embedder", "retriever")
    return Size(
        messages,
        peak,
        cores,
        {part: max(1, math.ceil(cores[part] / _LOAD)) for part in services},
        daily * (measured.entry + _SEEN_DAYS * measured.seen),
        peak * measured.redis / _MILLION,
        {variant: messages * each for variant, each in measured.disk.items()},
        {variant: messages * each for variant, each in measured.memory.items()},
    )


def read_measured(folder: Path) -> Measured:
    """Return what the records in a folder say: `scale.json`, and those of a growing Qdrant server.

    Of several sizes, memory and disk are those of the largest, where fixed costs weigh least, and CPU is that of the
    users with the longest histories.
    """
    scale, growth = medians(folder / "scale.json"), read_growth(folder)
    found = grown_in(growth)
    longest = longest_histories(found)
    most = max(each.messages for each in found)
    largest = {each.variant: each for each in found if each.messages == most}
    return Measured(
        ingest=scale["CPU of ingest for a million messages, 1 ingest"],
        embedder=scale["CPU of embedder for a million messages, 1 embedder"],
        retriever=scale["CPU of retriever for a million searches, 1 retriever"],
        redis=scale["CPU of redis for a million messages, 1 ingest"]
        + scale["CPU of redis for a million messages, 1 embedder"],
        qdrant=scale["CPU of qdrant for a million messages, 1 embedder"]
        + growth[f"Qdrant's CPU for that, {longest.where}"] * _MILLION / longest.messages,
        search=1000 * growth[longest.search_cpu],
        history=longest.history,
        entry=scale["Redis' memory for a message in the stream"],
        seen=scale["Redis' memory for a message that has left the stream"],
        disk={name: growth[each.disk] * _MIB / each.messages for name, each in largest.items()},
        memory={name: growth[each.memory] * _MIB / each.messages for name, each in largest.items()},
    )


def render(measured: Measured) -> str:
    """Return the table, with its arithmetic."""
    sizes = [size_of(measured, number) for number in NUMBERS]
    rows = [
        ["messages", *(f"10{_raised(round(math.log10(size.messages)))}" for size in sizes)],
        ["---", *("---:" for _ in sizes)],
        ["messages and searches per second, peak", *(_short(size.per_second) for size in sizes)],
    ]
    rows += [
        [f"{part}: cores busy (processes)", *(f"{_short(size.cores[part])} ({size.processes[part]})" for size in sizes)]
        for part in ("ingest", "embedder", "retriever")
    ]
    rows += [
        ["Redis: cores busy, of one", *(_short(size.redis_core) for size in sizes)],
        ["Redis: memory", *(_bytes(size.redis_memory) for size in sizes)],
        ["Qdrant: cores busy", *(_short(size.cores["Qdrant"]) for size in sizes)],
    ]
    for variant in measured.memory:
        rows += [
            [f"Qdrant, {titled(variant)}: memory", *(_bytes(size.qdrant_memory[variant]) for size in sizes)],
            [f"Qdrant, {titled(variant)}: disk", *(_bytes(size.qdrant_disk[variant]) for size in sizes)],
        ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    items = (" ".join(item.split()) for item in _arithmetic(measured).split("\n- "))
    lines = [textwrap.fill(f"- {item}", _WIDTH, subsequent_indent="  ") for item in items]
    return "\n".join([BEGIN, table, "", *lines, END, ""])


def _arithmetic(measured: Measured) -> str:
    """Return the items of a list, each after the first behind a hyphen."""
    return f"""\
*Per second*: messages that come within a year, / {_DAYS} / 86,400, times {_PEAK} for the peak; a search for each.
- *Cores*: per second · CPU seconds for a million / 1,000,000. For a million messages, ingest takes
  {measured.ingest:,.0f} s, embedders {measured.embedder:,.0f} s, Redis {measured.redis:,.0f} s, and
  Qdrant {measured.qdrant:,.0f} s with its indexes; for a million searches, retrievers take
  {measured.retriever:,.0f} s and Qdrant {measured.search:,.0f} s, of users with {measured.history:,} messages each.
- *Processes*: cores / {_LOAD}, rounded up: each is busy half of the time at the peak. One more, if one may be lost.
- *What is full first*: a core of Qdrant stores {_MILLION / measured.qdrant:,.0f} messages a second, or answers
  {_MILLION / measured.search:,.0f} searches; the core that Redis has takes {_MILLION / measured.redis:,.0f} messages.
  Qdrant can have more cores and nodes; Redis, several primaries as a cluster.
- *Redis' memory*, for texts of 113 characters: messages of a day · ({measured.entry:,.0f} bytes +
  {_SEEN_DAYS} · {measured.seen:,.0f} bytes): a day in the streams, and seven days of seen-keys. The append-only file
  grows to about twice that before it is rewritten.
- *Qdrant*: messages · {_listed(measured)}, for one copy and 384 dimensions. Each further dimension takes 4 bytes
  on disk, and in memory 4 for the vectors themselves, 1 for `int8` and 1/8 for `binary`. Double the disk: while Qdrant
  rewrites a segment, it has both."""


def _listed(measured: Measured) -> str:
    return ", ".join(
        f"({titled(variant)}) {each:,.0f} bytes of memory and {measured.disk[variant]:,.0f} of disk"
        for variant, each in measured.memory.items()
    )


def _raised(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _short(number: float) -> str:
    if number < _LEAST:
        return f"< {_LEAST:g}"
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"  # noqa: PLR2004 - two digits are enough


def _bytes(count: float) -> str:
    for unit, factor in (("TiB", 2**40), ("GiB", _GIB)):
        if count >= factor:
            return f"{_short(count / factor)} {unit}"
    return f"{_short(count / _MIB)} MiB"


def main() -> None:
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.sizing", description=__doc__.split("\n\n")[0])
    parser.add_argument("--results", type=Path, default=_ROOT / "benchmarks" / "results", help="folder of the records")
    parser.add_argument("--page", type=Path, help="write them between the markers of this page")
    options = parser.parse_args()
    tables = [render(read_measured(options.results)), render_kept(read_growth(options.results))]
    if options.page is None:
        sys.stdout.write("\n".join(tables))
        return
    page = options.page.read_text()
    for table in tables:
        begin, *_, end = table.splitlines(keepends=True)
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            sys.exit(f"{options.page} has no markers: {begin}{end}")
        page = before + table + after
    options.page.write_text(page)


if __name__ == "__main__":
    main()
