"""The services of the last release are replaced by today's, while users post and search."""

from pathlib import Path

import pytest
from containers.composition import OURS
from containers.conftest import composed
from containers.load import Load

pytestmark = pytest.mark.timeout(900)


async def test_an_upgrade_under_load_from_the_last_release(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with composed(request, tmp_path_factory.mktemp("upgraded")) as composition:
        if not await composition.build_previous(tmp_path):
            pytest.skip("the last release is not in this repository's history")
        composition.run_release("previous")
        await composition.up()
        former = {service: await composition.containers(service) for service in OURS}
        async with Load(composition, "upgraded").running() as load:
            composition.run_release("test")
            for service in OURS:
                await composition.up("--no-deps", service)
                assert not former[service] & await composition.containers(service)
                await load.goes_on()
