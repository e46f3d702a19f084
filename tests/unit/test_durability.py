"""What an append waits for, when how Redis is set up changes in its middle."""

from typing import Any, cast

import pytest

from memstream.ingest.durability import Durability


class Pipe:
    """A pipeline in whose middle Redis is found to be set up in another way."""

    def __init__(self, durability: Durability, *, waits_then: bool) -> None:
        self._durability = durability
        self._waits_then = waits_then
        self._answers: list[Any] = [b"written"]

    def waitaof(self, *_: int) -> None:
        """Queue the wait for the disk."""
        self._answers.append([1, 0])

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        """Run what is queued."""
        assert raise_on_error
        self._durability._wait = self._waits_then
        return self._answers


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False), (True, True), (False, False)])
async def test_a_write_is_judged_by_what_was_asked_for_it(*, before: bool, after: bool) -> None:
    durability = Durability(cast("Any", None), fsync=True, timeout=1.0)
    durability._wait = before

    assert await durability.execute(cast("Any", Pipe(durability, waits_then=after))) == [b"written"]
