"""What all tests share."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import engines
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from running_stack import RunningStack, local, on_containers

_users: Iterator[int] = count(1)

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of this user's own in it
_ROOM = 4 * 2**30
"""Bytes that tests may need at once, with those of a session that failed kept beside them."""

# How long an example takes says something about the machine, and what else it is busy with.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("test", _UNTIMED, derandomize=True, database=None)
settings.register_profile("fuzz", _UNTIMED, derandomize=False, print_blob=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose what the shared stack runs on, and how often property tests are tried."""
    parser.addoption("--fuzz", type=int, metavar="EXAMPLES", help="draw examples anew, so many for each property")
    parser.addoption(
        "--containers", action="store_true", help="build the images and run docker-compose.yml (needs a Docker engine)"
    )
    parser.addoption(
        "--stack",
        choices=("local", "containers"),
        default="local",
        help="run on the local stack, or on Redis and Qdrant in containers (needs a Docker engine)",
    )
    engines.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Load a profile for property tests, and keep files in memory.

    In memory where that can be: Redis syncs every write, and a disk of others' makes it wait seconds. Nothing is tested
    less for it. What a killed process wrote is with the system, synced or not.
    """
    engines.choose(config)
    examples = config.getoption("--fuzz")
    if examples is None:
        settings.load_profile("test")
    else:
        settings.register_profile("fuzz", settings.get_profile("fuzz"), max_examples=examples)
        settings.load_profile("fuzz")
    if _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK) and shutil.disk_usage(_IN_MEMORY).free >= _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))


def pytest_unconfigure() -> None:
    """Leave servers of somebody else's as they were found."""
    engines.clean_up()


@pytest_asyncio.fixture(scope="session")
async def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningStack]:
    """Run a whole stack for all tests that ask: each uses a user of its own (`user`)."""
    home = tmp_path_factory.mktemp("stack")
    start = on_containers if request.config.getoption("--stack") == "containers" else local
    async with start(home) as running:
        yield running


@pytest.fixture
def user() -> str:
    """Name a user that no other test has."""
    return f"user-{next(_users)}"
