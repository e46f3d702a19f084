"""Fixtures of the contract tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from contract.qdrant_backends import BACKENDS, Backend, EdgeServer, fresh_name, serving


@pytest_asyncio.fixture(scope="session", params=BACKENDS)
async def qdrant_backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Backend]:
    """Each of the backends in turn, the same one for all tests that ask."""
    async with serving(request.param, tmp_path_factory.mktemp("qdrant")) as backend:
        yield backend


@pytest.fixture
def qdrant_name() -> str:
    """Name a collection of this test's own."""
    return fresh_name()


@pytest_asyncio.fixture
async def qdrant_edge(tmp_path: Path) -> AsyncIterator[EdgeServer]:
    """Start an edge server of this test's own, on an empty folder."""
    server = await EdgeServer(tmp_path / "data").ready()
    yield server
    server.kill()


@pytest_asyncio.fixture(scope="session")
async def qdrant_http(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to an edge server that tests share."""
    server = await EdgeServer(tmp_path_factory.mktemp("qdrant-http")).ready()
    async with httpx.AsyncClient(base_url=server.url, headers={"content-type": "application/json"}) as http:
        yield http
    server.kill()
