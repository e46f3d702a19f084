"""Hosts fail while messages are sent, searched and deleted: the guarantees hold for groups of servers, too."""

from collections.abc import AsyncIterator
from functools import partial

import engines
import pytest
import pytest_asyncio
from machines.estate import RedisKind
from reliability import machine_site
from reliability.conftest import Sites, lending
from reliability.judgement import Tell, judge
from reliability.plans import draw_plan


@pytest_asyncio.fixture(scope="module", params=["sentinel", "cluster"])
async def machine_sites(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sites]:
    """Keep an installation on hosts over the runs of a module, for each kind of Redis."""
    binary, missing = engines.chosen().qdrant_binary, machine_site.missing()
    if binary is None:
        pytest.skip("no --qdrant-binary to start a cluster from")
    if missing is not None:
        pytest.skip(f"this takes {missing}")
    start = partial(machine_site.running, binary, request.param)
    async with lending(request.config, tmp_path_factory, start) as lender:
        yield lender


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> RedisKind:
    """Name the kind of Redis that this run is on."""
    given: RedisKind = request.node.callspec.params["machine_sites"]
    return given


@pytest.mark.timeout(1200)
async def test_the_promise_holds_whatever_befalls_hosts(
    machine_seed: int, machine_sites: Sites, kind: RedisKind, tell: Tell
) -> None:
    await judge(draw_plan(machine_seed, "machines"), machine_sites, tell, kind)
