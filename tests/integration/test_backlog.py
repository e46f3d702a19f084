"""How much waits, also where the server itself can't tell any more."""

from typing import Any

import pytest
from integration.worksite import Worksite, texts

from memstream.contracts import keys
from memstream.streams.backlog import backlog

COUNTED = 10_000


async def fill(site: Worksite, entries: int) -> list[str]:
    """Append, and let the group read the first five and acknowledge two of them."""
    await site.create_groups()
    entry_ids = await site.say(texts(entries))
    await site.redis.xreadgroup(keys.GROUP, "test", {site.stream: ">"}, count=5)
    await site.redis.xack(site.stream, keys.GROUP, *entry_ids[:2])
    return entry_ids


async def lag(site: Worksite) -> object:
    """Ask the server how much was not delivered."""
    groups: Any = await site.redis.xinfo_groups(site.stream)
    return groups[0]["lag"]


@pytest.mark.parametrize("entries", [6, 205, 206, 1000])
async def test_what_the_server_cannot_tell_is_counted(site: Worksite, entries: int) -> None:
    entry_ids = await fill(site, entries)
    assert await lag(site) == entries - 5
    assert await backlog(site.redis, site.stream) == entries - 2

    await site.redis.xdel(site.stream, entry_ids[-1])

    assert await lag(site) is None
    assert await backlog(site.redis, site.stream) == entries - 3


async def test_of_very_much_a_limit_is_told_which_is_never_too_low(site: Worksite) -> None:
    entry_ids = await fill(site, COUNTED + 100)
    await site.redis.xdel(site.stream, *entry_ids[50:60])

    waiting = COUNTED + 100 - 2 - 10
    assert await lag(site) is None
    assert waiting <= await backlog(site.redis, site.stream) <= waiting + 10


async def test_a_group_that_was_set_back_by_hand_is_never_behind_by_more_than_is_there(site: Worksite) -> None:
    entry_ids = await fill(site, COUNTED + 100)
    await site.redis.xgroup_setid(site.stream, keys.GROUP, entry_ids[9])

    assert await lag(site) is None
    assert COUNTED + 90 <= await backlog(site.redis, site.stream) <= COUNTED + 103
