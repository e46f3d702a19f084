"""deploy/compose.cluster.yaml on a Docker engine: any one container may be lost while users post and search."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from containers.composition import Composition
from containers.conftest import composed
from containers.engine import CLUSTER_FILE, COMPOSE_FILE
from containers.load import Load
from waiting import until

pytestmark = pytest.mark.timeout(900)

NODES = ("redis", "redis-2", "sentinel-1", "qdrant", "qdrant-2", "proxy", "prometheus")


@pytest_asyncio.fixture(scope="module")
async def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Composition]:
    """Build and bring up a cluster for all tests of this module."""
    folder = tmp_path_factory.mktemp("cluster")
    async with composed(request, folder, [COMPOSE_FILE, CLUSTER_FILE], proxy="proxy") as composition:
        await composition.up()
        yield composition


@pytest_asyncio.fixture
async def load(cluster: Composition, request: pytest.FixtureRequest) -> AsyncIterator[Load]:
    """Let users of this test's own post and search until it ends. Nothing that was accepted may be missing then."""
    async with Load(cluster, request.node.name).running() as running:
        yield running


@pytest.mark.parametrize("node", NODES)
async def test_it_goes_on_without_a_node_and_takes_it_back(node: str, cluster: Composition, load: Load) -> None:
    await cluster.kill(node)
    if node != "proxy":
        await load.goes_on()
    await cluster.up()
    await load.goes_on()


@pytest.mark.parametrize("service", ["ingest", "embedder", "retriever"])
async def test_both_replicas_are_replaced_under_load(service: str, cluster: Composition, load: Load) -> None:
    former = await cluster.containers(service)
    await cluster.up("--no-deps", "--force-recreate", service)
    assert not former & await cluster.containers(service)
    await load.goes_on()


async def test_redis_has_a_primary_and_two_replicas_that_follow_it(cluster: Composition) -> None:
    async def roles() -> list[str]:
        nodes = ("redis", "redis-2", "redis-3")
        answers = [await cluster.compose("exec", "--no-TTY", node, "redis-cli", "role") for node in nodes]
        return sorted(answer.split()[0] for answer in answers)

    async def settled() -> bool:
        return await roles() == ["master", "slave", "slave"]

    await until(settled, "one primary and two replicas")


async def test_nothing_is_lost_between_down_and_up(cluster: Composition) -> None:
    load = Load(cluster, "down")
    async with load.running():
        pass
    await cluster.compose("down")
    await cluster.up()
    await load.is_complete()
    await load.close()
