"""What an append waits for, when how Redis is set up changes in its middle."""

from typing import Any, cast

import pytest

from memstream.ingest.durability import Durability


class Server:
    """A Redis with an append-only file, and a pipeline in whose middle it may be set up in another way."""

    def __init__(self) -> None:
        self.syncs_each_write = False
        self.then_syncs_each_write = False
        self.durability = Durability(cast("Any", self), require_fsync=True, timeout=1.0)
        self._answers: list[Any] = [b"written"]

    async def info(self, _section: str) -> dict[str, int]:
        """Answer INFO."""
        return {"aof_enabled": 1}

    async def config_get(self, _name: str) -> dict[str, str]:
        """Answer CONFIG GET."""
        return {"appendfsync": "always" if self.syncs_each_write else "everysec"}

    def waitaof(self, *_: int) -> None:
        """Queue the wait for the disk."""
        self._answers.append([1, 0])

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        """Run what is queued."""
        assert raise_on_error
        self.syncs_each_write = self.then_syncs_each_write
        await self.durability.read_policy()
        return self._answers


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False), (True, True), (False, False)])
async def test_a_write_is_judged_by_what_was_asked_for_it(*, before: bool, after: bool) -> None:
    server = Server()
    server.syncs_each_write, server.then_syncs_each_write = before, after
    await server.durability.read_policy()

    assert await server.durability.execute(cast("Any", server)) == [b"written"]
