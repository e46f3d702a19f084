"""How much a number of messages takes, and the table of it for operators."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.scale.grown import read_growth
from benchmarks.scale.kept_vectors import render_kept
from benchmarks.scale.sizing import Measured, read_measured, render, size_of

_ROOT = Path(__file__).parents[2]
MEASURED = Measured(
    ingest=100,
    embedder=1_000,
    retriever=2_000,
    redis=50,
    qdrant=3_000,
    search=4_000,
    history=1_000,
    entry=500,
    seen=100,
    disk={"none": 3_000, "int8+disk": 3_400},
    memory={"none": 2_500, "int8+disk": 800},
)
A_SECOND = 365 * 86_400 // 4
"""Messages within a year, of which one comes in each second of the peak."""


def test_cores_follow_from_the_peak_and_the_cost_of_a_million() -> None:
    """A thousand a second, each of a millisecond, keep a core busy; at half load that takes two processes."""
    size = size_of(MEASURED, 1_000 * A_SECOND)
    assert size.per_second == pytest.approx(1_000)
    assert size.cores == pytest.approx({"ingest": 0.1, "embedder": 1.0, "retriever": 2.0, "Qdrant": 7.0})
    assert size.processes == {"ingest": 1, "embedder": 2, "retriever": 4}
    assert size.redis_core == pytest.approx(0.05)


def test_redis_holds_a_day_of_messages_and_a_week_of_ids() -> None:
    """What is older is trimmed, or has expired."""
    assert size_of(MEASURED, 365_000).redis_memory == pytest.approx(1_000 * (500 + 7 * 100))


def test_qdrant_holds_all_messages() -> None:
    """Its memory and disk follow from the number of messages, for each way to keep vectors."""
    size = size_of(MEASURED, 10**6)
    assert size.qdrant_disk == {"none": 3e9, "int8+disk": 3.4e9}
    assert size.qdrant_memory == {"none": 2.5e9, "int8+disk": 8e8}


def test_of_several_sizes_the_largest_says_what_a_message_takes(tmp_path: Path) -> None:
    """Fixed costs weigh least there. What a search costs is that of the users with the longest histories."""
    scale = {
        "CPU of ingest for a million messages, 1 ingest": 100,
        "CPU of embedder for a million messages, 1 embedder": 1_000,
        "CPU of retriever for a million searches, 1 retriever": 2_000,
        "CPU of redis for a million messages, 1 ingest": 20,
        "CPU of redis for a million messages, 1 embedder": 30,
        "CPU of qdrant for a million messages, 1 embedder": 3_000,
        "Redis' memory for a message in the stream": 500,
        "Redis' memory for a message that has left the stream": 100,
    }
    write(tmp_path / "scale.json", scale)
    write(tmp_path / "growth-server.json", dict.fromkeys(_of_qdrant("1,024 messages, 1 users"), 4))
    write(tmp_path / "growth-server-more.json", dict.fromkeys(_of_qdrant("1,048,576 messages, 2,048 users"), 2))
    write(tmp_path / "growth.json", dict.fromkeys(_of_qdrant("9,999,999 messages, 1 users"), 9))
    measured = read_measured(tmp_path)
    assert measured.memory == measured.disk == {"none": 2}
    assert (measured.history, measured.redis, measured.search) == (1_024, 50, 4_000)
    assert measured.qdrant == 3_000 + 4 * 1e6 / 1_024


def test_the_page_for_operators_has_these_tables() -> None:
    """What operators read follows from the records in the repository."""
    page, results = (_ROOT / "deploy" / "README.md").read_text(), _ROOT / "benchmarks" / "results"
    assert render(read_measured(results)) in page
    assert render_kept(read_growth(results)) in page


def _of_qdrant(where: str) -> list[str]:
    return [
        f"Qdrant's disk, {where}",
        f"Qdrant's resident memory with mapped files, {where}, after the start",
        f"Qdrant's CPU for that, {where}",
        f"Qdrant's CPU for a search, {where}",
    ]


def write(file: Path, figures: Mapping[str, float]) -> None:
    """Write a record with these figures."""
    file.write_text(json.dumps({"figures": [{"name": name, "values": [value]} for name, value in figures.items()]}))
