"""The composition that the tests of the containers share: built and brought up once."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from containers.composition import Composition
from containers.engine import COMPOSE_FILE, missing


@asynccontextmanager
async def composed(
    request: pytest.FixtureRequest, folder: Path, files: Sequence[Path] = (COMPOSE_FILE,), *, proxy: str = ""
) -> AsyncIterator[Composition]:
    """Build a composition, and remove it at the end; skip where it was not asked for, or something is missing."""
    if not request.config.getoption("--containers"):
        pytest.skip("containers are run by `make test-containers`")
    if lacks := await missing(files):
        pytest.skip(lacks)
    composition = Composition(folder, files, proxy=proxy)
    await composition.build()
    try:
        yield composition
    finally:
        await composition.remove()


@pytest_asyncio.fixture(scope="module")
async def composition(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Composition]:
    """Build and bring up the services of docker-compose.yml for all tests of a module."""
    async with composed(request, tmp_path_factory.mktemp("composition")) as running:
        await running.up()
        yield running
