"""What the tests of the embedder share."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from integration.worksite import Worksite, worksite


@pytest_asyncio.fixture(scope="session")
async def _worksite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worksite]:
    async with worksite(tmp_path_factory.mktemp("worksite")) as shared:
        yield shared


@pytest_asyncio.fixture
async def site(_worksite: Worksite) -> AsyncIterator[Worksite]:
    """Give Redis and Qdrant without anything in them, and a provider without orders."""
    async with _worksite.cleared():
        yield _worksite
