"""docker-compose.yml on a Docker engine: what an operator does, while users post and search."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from containers.composition import OURS, REPLICAS, Composition
from containers.load import Load
from waiting import until

pytestmark = pytest.mark.timeout(900)


@pytest_asyncio.fixture
async def load(composition: Composition, request: pytest.FixtureRequest) -> AsyncIterator[Load]:
    """Let users of this test's own post and search until it ends. Nothing that was accepted may be missing then."""
    async with Load(composition, request.node.name).running() as running:
        yield running


async def test_what_is_sent_is_found(composition: Composition) -> None:
    load = Load(composition, "reader")
    await load.send("reader", 1)

    async def found() -> bool:
        return [hit.message_id for hit in (await load.search("reader", "What is note 1?")).hits] == ["reader:1"]

    await until(found, "the message is found")
    await load.close()


@pytest.mark.parametrize("service", OURS)
async def test_a_service_is_scaled_up_and_down_under_load(service: str, composition: Composition, load: Load) -> None:
    first = await composition.containers(service)
    await composition.scale(service, REPLICAS)
    assert len(await composition.containers(service)) == REPLICAS
    await load.look_around()
    await load.goes_on()
    await composition.scale(service, 1)
    assert await composition.containers(service) == first


@pytest.mark.parametrize("name", ["redis", "qdrant", *OURS])
async def test_a_container_that_was_killed_is_replaced_under_load(
    name: str, composition: Composition, load: Load
) -> None:
    former = await composition.containers(name)
    await composition.kill(name)
    await composition.up()
    assert not former & await composition.containers(name)
    await load.goes_on()


@pytest.mark.parametrize("service", OURS)
async def test_the_image_has_no_root_no_compiler_and_no_writable_file(service: str, composition: Composition) -> None:
    async def inside(code: str) -> str:
        return (await composition.compose("exec", "--no-TTY", service, "python", "-c", code)).strip()

    assert await inside("import os; print(os.getuid(), os.access('/opt/memstream', os.W_OK))") == "10001 False"
    tools = ("gcc", "cc", "ld", "make", "git", "uv")
    assert await inside(f"import shutil; print([tool for tool in {tools} if shutil.which(tool)])") == "[]"
    assert (
        await inside("import os; print([name for name in ('/build', '/root/.cache') if os.path.exists(name)])") == "[]"
    )


async def test_nothing_is_lost_between_down_and_up(composition: Composition) -> None:
    load = Load(composition, "down")
    async with load.running():
        pass
    await load.send("down-0", 10_000)
    await composition.compose("down")
    await composition.up()
    await load.is_complete()
    await load.close()
