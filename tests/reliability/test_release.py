"""An older release is at hand where there is a history, and is done without where there is none."""

import os
from pathlib import Path

import pytest
from reliability.release import unpack_previous

_HAS_HISTORY = (Path(__file__).parents[2] / ".git").exists()


async def test_an_older_embedder_and_what_it_shares_are_unpacked(tmp_path: Path) -> None:
    if not _HAS_HISTORY:
        pytest.skip("no history here")
    path = await unpack_previous(tmp_path, "HEAD")
    assert path is not None
    assert {"embedder", "runtime", "contracts", "vectors"} <= set(_packages(path))


def _packages(path: str) -> list[str]:
    return [package.name for entry in path.split(os.pathsep) for package in Path(entry, "memstream").iterdir()]


async def test_a_revision_that_is_not_there_is_done_without(tmp_path: Path) -> None:
    assert await unpack_previous(tmp_path, "no-such-release") is None
