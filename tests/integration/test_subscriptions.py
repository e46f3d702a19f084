"""Reading that stops leaves nothing behind, whatever it was doing: on a real Redis."""

import asyncio
from collections.abc import Sequence
from random import Random

from integration.worksite import Worksite
from waiting import until

from memstream.embedder.jobs import Delivery
from memstream.embedder.streams import source_streams
from memstream.embedder.subscriptions import Subscriptions

ROUNDS = 12


async def take(_: Sequence[Delivery]) -> None:
    """Take what is read."""


async def clients(site: Worksite) -> set[str]:
    """Return the ids of the connections that Redis has."""
    return {client["id"] for client in await site.redis.client_list()}


async def test_every_connection_is_closed_whenever_the_reading_stops(site: Worksite) -> None:
    await site.create_groups()
    before = await clients(site)
    url = site.parts.plan.redis_url
    rng = Random(1)  # noqa: S311 - a draw that can be repeated, nothing secret
    for number in range(ROUNDS):
        reader = Subscriptions(url, source_streams(1), consumer="here", offer=take, read_entries=50)
        await reader.start()
        for _ in range(rng.randrange(30)):
            # So that each time it is stopped at another point.
            await asyncio.sleep(rng.choice([0, 0, 0.001]))
        if rng.random() < 0.5:
            await site.say([f"number {number}"])
        await reader.stop()

        async def none_is_left() -> bool:
            return await clients(site) <= before

        await until(none_is_left, f"connections are closed after round {number}")
