"""Faults are injected while messages are sent, searched and deleted: the guarantees hold, whatever they are."""

import asyncio
from functools import partial

import pytest
from exchanges import answered, post
from reliability.conftest import Sites
from reliability.judgement import Tell, judge
from reliability.links import Link, Watch
from reliability.observation import answered as answered_at_last
from reliability.plans import draw_plan
from reliability.points import Point
from reliability.runs import reading
from reliability.site import Site
from waiting import PATIENCE, until


@pytest.mark.timeout(600)
async def test_the_promise_holds_whatever_strikes(seed: int, sites: Sites, tell: Tell) -> None:
    await judge(draw_plan(seed), sites, tell)


@pytest.mark.timeout(600)
async def test_the_promise_holds_for_thousands_of_messages_while_each_part_is_killed(
    big_seed: int, sites: Sites, tell: Tell
) -> None:
    await judge(draw_plan(big_seed, "big"), sites, tell)


@pytest.mark.timeout(600)
async def test_what_is_erased_under_load_stays_away_while_workers_are_killed_stalled_and_cut_off(
    erasure_seed: int, sites: Sites, tell: Tell
) -> None:
    await judge(draw_plan(erasure_seed, "erasure"), sites, tell)


async def test_an_upsert_that_comes_late_takes_away_nothing_that_was_said_since(sites: Sites) -> None:
    """Of seed 13: posted, read, erased, posted again and stored - and only then the first is upserted."""
    site = await sites.lend()
    under_way, may_go = asyncio.Event(), asyncio.Event()

    async def hold(_: Link) -> bool:
        under_way.set()
        await may_go.wait()
        return True

    links = [link for link in site.links.values() if link.server == "qdrant" and link.client.startswith("embedder")]
    watch = Watch(Point("late", "embedder", "qdrant", "upsert", "before"), hold, links)
    for link in links:
        link.watches.append(watch)
    try:
        async with site.parts.client("ingest-1") as ingest:
            await post(ingest, "late-1", "the old lamp", message_id="a")
            await asyncio.wait_for(under_way.wait(), PATIENCE)
            answered(await ingest.delete("/v1/users", params={"user_id": "late-1"}), 202)
            await post(ingest, "late-1", "the new lamp", message_id="a")
            await until(lambda: _texts(site, "late-1", "the new lamp"), "the new one is stored")
            may_go.set()
            await site.worked_off()
        assert await _texts(site, "late-1", "the new lamp")
    finally:
        may_go.set()


async def _texts(site: Site, user: str, expected: str) -> bool:
    """Return whether this is all that Qdrant holds of a user."""
    async with reading(site) as reader:
        return [point.text for point in await answered_at_last(partial(reader.points, [user]))] == [expected]
