"""What several tests share."""

import warnings
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from engines import require_embedded
from integration.worksite import Worksite, worksite
from running_stack import RunningStack
from waiting import PATIENCE

from memstream.runtime.clock import SystemClock
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import MemoryStore, without_retention
from memstream.vectors.store.qdrant import QdrantStore

with warnings.catch_warnings():
    # It reads its vocabulary by a call that Python 3.11 calls deprecated, once, when it is imported.
    warnings.filterwarnings("ignore", "open_binary is deprecated", DeprecationWarning)
    import bpe_openai  # noqa: F401 - imported for its effect


@pytest.fixture(scope="session")
def embedded() -> None:
    """Skip what is about the servers that a local stack starts, where others were chosen."""
    require_embedded()


@pytest_asyncio.fixture(scope="session")
async def _worksite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worksite]:
    async with worksite(tmp_path_factory.mktemp("worksite")) as shared:
        yield shared


@pytest_asyncio.fixture
async def site(_worksite: Worksite) -> AsyncIterator[Worksite]:
    """Give Redis and Qdrant without anything in them, and a provider without orders."""
    async with _worksite.cleared():
        yield _worksite


@pytest_asyncio.fixture
async def store(stack: RunningStack) -> AsyncIterator[MemoryStore]:
    """Open the running stack's collection."""
    space = EmbeddingSpace(stack.info.embedding_model, 384)
    info = stack.info
    opened = QdrantStore(
        space,
        url=info.qdrant_url,
        api_key=info.qdrant_api_key,
        collection=info.collection,
        timeout=PATIENCE,
        expiry=without_retention(SystemClock().now),
    )
    yield opened
    await opened.aclose()
