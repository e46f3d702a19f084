"""What the tests of the embedder share."""

import warnings
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from integration.worksite import Worksite, worksite

with warnings.catch_warnings():
    # It reads its vocabulary by a call that Python 3.11 calls deprecated, once, when it is imported.
    warnings.filterwarnings("ignore", "open_binary is deprecated", DeprecationWarning)
    import bpe_openai  # noqa: F401 - imported for its effect


@pytest_asyncio.fixture(scope="session")
async def _worksite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worksite]:
    async with worksite(tmp_path_factory.mktemp("worksite")) as shared:
        yield shared


@pytest_asyncio.fixture
async def site(_worksite: Worksite) -> AsyncIterator[Worksite]:
    """Give Redis and Qdrant without anything in them, and a provider without orders."""
    async with _worksite.cleared():
        yield _worksite
