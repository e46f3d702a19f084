"""Streams stay bounded, and nothing that anybody needs is trimmed from them.

The server trims whole blocks of up to 100 entries, so a few more than necessary may stay.
"""

import asyncio
import logging
import signal
from collections.abc import Sequence
from typing import Any

import pytest
from exchanges import answered, ids_of, search
from integration.worksite import Worksite, texts
from prometheus_client import CollectorRegistry
from waiting import until

from memstream.contracts import keys
from memstream.embedder.consumers import ConsumerCleanup
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.streams import source_streams
from memstream.embedder.trimmer import DECLARED_GROUPS, StreamTrimmer
from memstream.runtime.errors import Unavailable
from memstream.streams.backlog import backlog
from memstream.streams.scripts import Scripts
from memstream.streams.stream_scripts import REMOVE_CONSUMER, GroupArguments, StreamKeys

HOUR = 3600.0
BLOCK = 100
LONG_AGO = "1000-*"
"""An id of 1970: older than any window."""
SOURCES = source_streams(1)


def trimming(
    site: Worksite, *, groups: Sequence[str] = DECLARED_GROUPS, registry: CollectorRegistry | None = None
) -> StreamTrimmer:
    """Make what a worker trims with, for a test to take turns itself."""
    metrics = EmbedderMetrics(registry or CollectorRegistry())
    return StreamTrimmer(site.redis, SOURCES, window=HOUR, metrics=metrics, groups=groups)


async def length(site: Worksite) -> int:
    """Count the entries of the live lane."""
    return int(await site.redis.xlen(site.stream))


async def shrinks_to(site: Worksite, most: int) -> None:
    """Wait until no more entries are left in the live lane."""

    async def small_enough() -> bool:
        return await length(site) <= most

    await until(small_enough, f"at most {most} entries are left")


async def consumer_names(site: Worksite) -> set[str]:
    """Name the consumers of the live lane."""
    consumers: Any = await site.redis.xinfo_consumers(site.stream, keys.GROUP)
    return {consumer["name"].decode() for consumer in consumers}


async def measured(site: Worksite, name: str) -> float:
    """Read one of a worker's metrics."""
    lines = (await site.ask("GET", "/metrics")).text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


async def test_acknowledged_entries_go_after_the_window_and_younger_ones_stay(site: Worksite) -> None:
    await site.say(texts(200), entry_id=LONG_AGO)
    young = await site.say(texts(150, "young"))
    await site.work(trim_period=0.2)
    await site.finished()
    await shrinks_to(site, 150 + BLOCK)
    entries: Any = await site.redis.xrange(site.stream)
    assert {entry_id.decode() for entry_id, _ in entries} >= set(young)
    assert await backlog(site.redis, site.stream) == 0
    assert len(await site.stored()) == 350

    async def measures() -> bool:
        left = await measured(site, 'memstream_embedder_stream_entries{lane="live"}')
        trimmed = await measured(site, 'memstream_embedder_trimmed_entries_total{lane="live"}')
        oldest = await measured(site, 'memstream_embedder_oldest_unacknowledged_seconds{lane="live"}')
        return left == await length(site) == 350 - trimmed and oldest == 0

    await until(measures, "the metrics say so")


async def test_what_is_pending_or_not_delivered_never_goes(site: Worksite) -> None:
    await site.work(trim_period=0.1, held_messages=60, batch_texts=20, claim_idle=1)
    await site.say(texts(200, "done"), entry_id=LONG_AGO)
    await site.finished()
    site.script.open.clear()
    waiting = await site.say(texts(300), entry_id=LONG_AGO)

    async def in_hand() -> bool:
        return len(await site.pending()) >= 60

    await until(in_hand, "some are pending")
    # What nobody needs goes, so there were turns that could have taken more.
    await shrinks_to(site, 300 + BLOCK)
    site.parts.signal("embedder-1", signal.SIGSTOP)
    undelivered = await site.say(texts(100, "late"), entry_id=LONG_AGO)
    await trimming(site).trim()
    entries: Any = await site.redis.xrange(site.stream)
    assert {entry_id.decode() for entry_id, _ in entries} >= {*waiting, *undelivered}
    assert len(await site.pending()) < 400
    site.parts.signal("embedder-1", signal.SIGCONT)
    site.script.open.set()
    await site.finished()
    assert await site.stored() == {text: [0] for text in [*texts(200, "done"), *texts(300), *texts(100, "late")]}
    await shrinks_to(site, BLOCK)


async def test_nothing_is_trimmed_while_a_declared_group_is_missing(
    site: Worksite, caplog: pytest.LogCaptureFixture
) -> None:
    await site.say(texts(200), entry_id=LONG_AGO)
    await site.create_groups()
    await site.redis.xreadgroup(keys.GROUP, "reader", {site.stream: ">"}, noack=True)
    registry = CollectorRegistry()
    trims = trimming(site, groups=(keys.GROUP, "second"), registry=registry)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await trims.trim()
    assert await length(site) == 200
    assert [record.getMessage() for record in caplog.records] == [
        f"{source.name} is not trimmed, and grows: it lacks the group second" for source in SOURCES
    ]
    assert registry.get_sample_value("memstream_embedder_trim_refusals_total") == 3 * len(SOURCES)

    await site.redis.xgroup_create(site.stream, "second", id="0")
    await trims.trim()
    assert await length(site) == 200
    await site.redis.xgroup_setid(site.stream, "second", id="$")
    await trims.trim()
    assert await length(site) <= BLOCK


async def test_streams_that_do_not_exist_are_refused_as_well(site: Worksite, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        await trimming(site).trim()
        await ConsumerCleanup(site.redis, SOURCES, own="me", idle=0).remove_gone()
    assert len(caplog.records) == len(SOURCES)


async def test_what_is_to_be_read_again_stays(site: Worksite) -> None:
    await site.say(texts(200), entry_id=LONG_AGO)
    await site.create_groups()
    await site.redis.xreadgroup(keys.GROUP, "reader", {site.stream: ">"})
    await site.redis.xack(site.stream, keys.GROUP, *(f"1000-{number}" for number in range(1, 200)))
    await site.redis.xgroup_setid(site.stream, keys.GROUP, id="0")
    await trimming(site).trim()
    assert await length(site) == 200


async def test_the_age_of_the_oldest_entry_counts_from_its_append(site: Worksite) -> None:
    await site.create_groups()
    seconds, _ = await site.redis.time()
    event: dict[Any, Any] = {"type": "message.recorded.v1", "data": "x"}
    for age in (500, 200):
        await site.redis.xadd(site.stream, event, id=f"{(seconds - age) * 1000}-0")
    registry = CollectorRegistry()
    trims = trimming(site, registry=registry)
    ages = []
    for step in ("unread", "read", "acknowledged"):
        if step == "read":
            await site.redis.xreadgroup(keys.GROUP, "reader", {site.stream: ">"})
        if step == "acknowledged":
            await site.redis.xack(site.stream, keys.GROUP, f"{(seconds - 500) * 1000}-0")
        await trims.trim()
        labels = {"lane": "live"}
        ages.append(registry.get_sample_value("memstream_embedder_oldest_unacknowledged_seconds", labels))
    assert ages == [pytest.approx(500, abs=5), pytest.approx(500, abs=5), pytest.approx(200, abs=5)]


async def test_more_goes_in_a_turn_than_the_server_trims_at_once(site: Worksite) -> None:
    await site.create_groups()
    async with site.redis.pipeline(transaction=False) as pipe:
        for number in range(12_000):
            pipe.xadd(site.stream, {"type": "x"}, id=f"1000-{number}")
        pipe.xreadgroup(keys.GROUP, "reader", {site.stream: ">"}, noack=True)
        await pipe.execute()
    await trimming(site).trim()
    assert await length(site) <= BLOCK


async def test_a_stream_is_bounded_while_messages_keep_coming(site: Worksite) -> None:
    await site.work(trim_period=0.1, replay_window=0.2)
    lengths = []
    for turn in range(20):
        await site.say(texts(200, f"turn {turn}"))
        await site.finished()
        lengths.append(await length(site))
    assert max(lengths) < 3000
    await shrinks_to(site, BLOCK)
    assert len(await site.stored()) == 4000
    assert await site.letters() == []


async def test_trimming_goes_on_after_redis_was_away(site: Worksite) -> None:
    await site.create_groups()
    await site.say(texts(200), entry_id=LONG_AGO)
    await site.redis.xreadgroup(keys.GROUP, "reader", {site.stream: ">"}, noack=True)
    trims, consumers = trimming(site), ConsumerCleanup(site.redis, SOURCES, own="me", idle=0)
    await site.parts.kill("redis")
    for task in (trims.trim, consumers.remove_gone):
        with pytest.raises(Unavailable):
            await task()
    await site.come_back("redis")
    await trims.trim()
    await consumers.remove_gone()
    assert await length(site) <= BLOCK
    assert await consumer_names(site) == set()


async def test_a_consumer_that_is_gone_is_removed_unless_something_is_pending_with_it(site: Worksite) -> None:
    await site.create_groups()
    for consumer in ("gone", "gone with something"):
        (entry_id,) = await site.say([consumer])
        await site.redis.xreadgroup(keys.GROUP, consumer, {site.stream: ">"})
        if consumer == "gone":
            await site.redis.xack(site.stream, keys.GROUP, entry_id)
    # Nothing is taken over within this test.
    await site.work(trim_period=0.2, consumer_idle=1, claim_idle=3600)

    async def removed() -> bool:
        return "gone" not in await consumer_names(site)

    await until(removed, "the consumer is removed")
    assert len(await site.pending("gone with something")) == 1
    await site.say(["still read"])
    await until(lambda: any("still read" in text for text in site.script.counts.by_text), "it is read")


async def test_removing_a_consumer_looks_again_at_what_is_pending_and_spares_oneself(site: Worksite) -> None:
    await site.create_groups()
    await site.redis.xgroup_createconsumer(site.stream, keys.GROUP, "me")
    await site.redis.xgroup_createconsumer(site.stream, keys.GROUP, "other")
    await site.say(["pending"])
    await site.redis.xreadgroup(keys.GROUP, "busy", {site.stream: ">"})
    consumers = ConsumerCleanup(site.redis, SOURCES, own="me", idle=0)
    await consumers.remove_gone()
    assert await consumer_names(site) == {"me", "busy"}
    # As if it had read only after it was seen to have nothing.
    call = REMOVE_CONSUMER.call(StreamKeys(site.stream), GroupArguments(keys.GROUP), ["busy"])
    assert not await Scripts(site.redis).run(call)
    assert len(await site.pending("busy")) == 1
    await ConsumerCleanup(site.redis, SOURCES, own="me", idle=HOUR).remove_gone()
    assert await consumer_names(site) == {"me", "busy"}


async def test_trimmed_messages_are_found_and_their_state_is_true(site: Worksite) -> None:
    await asyncio.gather(site.work(trim_period=0.2, replay_window=0.5), site.serve())
    messages = [{"user_id": "ana", "message_id": f"m{number}", "text": f"lamp {number}"} for number in range(90)]
    async with site.parts.client("ingest-1") as ingest, site.parts.client("retriever-1") as retriever:
        answer = answered(await ingest.post("/v1/messages/batch", json={"messages": messages}), 200)
        first = keys.Position.parse(answer["results"][0]["position"])

        async def trimmed() -> bool:
            return not await site.redis.xrange(first.stream, first.entry_id, first.entry_id)

        await until(trimmed, "the first message is trimmed")
        asked = {"user_id": "ana", "message_id": "m0"}
        assert answered(await ingest.get("/v1/messages/state", params=asked), 200)["state"] == "stored"
        again = answered(await ingest.post("/v1/messages/batch", json={"messages": messages[:1]}), 200)
        assert again["results"][0]["duplicate"]
        hits = await search(retriever, "ana", "lamp 0", limit=100, wait_for=[str(first)])
        assert hits["pending"] == []
        assert "m0" in ids_of(hits)
