"""What all tests share."""

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import pytest_asyncio
from running_stack import RunningStack, embedded, on_containers

_users: Iterator[int] = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose what the shared stack runs on."""
    parser.addoption(
        "--stack",
        choices=("local", "containers"),
        default="local",
        help="run on the embedded stack, or on Redis and Qdrant in containers (needs a Docker engine)",
    )


@pytest_asyncio.fixture(scope="session")
async def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningStack]:
    """Run a whole stack for all tests that ask: each uses a user of its own (`user`)."""
    home = tmp_path_factory.mktemp("stack")
    start = on_containers if request.config.getoption("--stack") == "containers" else embedded
    async with start(home) as running:
        yield running


@pytest.fixture
def user() -> str:
    """Name a user that no other test has."""
    return f"user-{next(_users)}"
