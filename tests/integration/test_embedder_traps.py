"""The traps of FastStream and Redis streams that we have seen, each shut (docs: reliability)."""

import signal
from typing import Any

import pytest
from engines import empty
from integration.worksite import Worksite, texts
from waiting import until

from memstream.contracts import keys


async def test_entries_written_before_the_first_start_are_delivered(site: Worksite) -> None:
    await site.say(texts(3))
    await site.work()
    await site.finished()
    assert await site.stored() == {text: [0] for text in texts(3)}


async def test_an_undecodable_entry_does_not_block_its_neighbours(site: Worksite) -> None:
    await site.create_groups()
    await site.say(["before"])
    broken: dict[Any, Any] = {b"type": b"message.recorded.v1", b"data": b"\xff\x00 no JSON"}
    entry_id = await site.redis.xadd(site.stream, broken)
    await site.say(["after"])
    await site.work()
    await site.finished()
    assert await site.stored() == {"before": [0], "after": [0]}
    (letter,) = await site.letters()
    assert {name: letter[b"original:" + name] for name in broken} == broken
    assert (letter[b"class"], letter[b"attempts"], letter[b"entry_id"]) == (b"poison", b"1", entry_id)
    assert b"not an event" in letter[b"reason"]


async def test_an_event_of_a_newer_release_waits_for_a_worker_that_knows_it(site: Worksite) -> None:
    await site.create_groups()
    newer: dict[Any, Any] = {b"type": b"user.merged.v1", b"data": b'{"type": "user.merged.v1"}'}
    entry_id = await site.redis.xadd(site.stream, newer)
    await site.work("embedder-1", claim_idle=0.5, max_deliveries=2)
    await site.work("embedder-2", claim_idle=0.5, max_deliveries=2)
    await site.say(["after"])

    seen: set[str] = set()

    async def has_changed_hands() -> bool:
        seen.update(one["consumer"] for one in await site.pending() if one["message_id"] == entry_id)
        return len(seen) == 2

    async def stored_after() -> bool:
        return await site.stored() == {"after": [0]} and len(await site.pending()) == 1

    await until(has_changed_hands, "each of the workers has had it")

    await until(stored_after, "what came after it is stored")
    (one,) = await site.pending()
    assert one["message_id"] == entry_id
    # Its deliveries are not counted, so that whoever knows it does not take it for what breaks workers.
    assert one["times_delivered"] <= 1
    assert await site.letters() == []


async def test_a_message_that_fails_is_neither_dropped_nor_acknowledged(site: Worksite) -> None:
    await site.work()
    site.script.fail("server_error")
    await site.say(["kept"])
    await site.calls(3)
    assert len(await site.pending()) == 1
    assert await site.letters() == []
    site.script.mend()
    await site.finished()
    assert await site.stored() == {"kept": [0]}


async def test_nothing_is_acknowledged_before_qdrant_has_completed_it(site: Worksite) -> None:
    await site.work(qdrant_timeout=5)
    site.parts.signal("qdrant", signal.SIGSTOP)
    await site.say(texts(20))
    await site.calls(1)
    await site.parts.kill("qdrant")
    await site.not_ready_for("Qdrant")
    assert len(await site.pending()) == 20
    await site.come_back("qdrant")
    await site.finished()
    assert await site.stored() == {text: [0] for text in texts(20)}


@pytest.mark.parametrize("loss", ["group", "everything"])
async def test_a_worker_whose_group_is_gone_ends_and_its_successor_works(site: Worksite, loss: str) -> None:
    await site.work()
    if loss == "group":
        await site.redis.xgroup_destroy(site.stream, keys.GROUP)
    else:
        await empty(site.redis)
    assert await site.parts.ended("embedder-1") == 1
    assert "reading has ended" in site.parts.log("embedder-1")
    await site.say(["found again"])
    await site.work()
    await site.finished()
    assert await site.stored() == {"found again": [0]}


async def test_a_read_that_can_never_succeed_ends_the_worker_and_fills_no_log(site: Worksite) -> None:
    await site.work()
    async with site.redis.pipeline(transaction=True) as pipe:
        pipe.delete(site.stream)
        pipe.set(site.stream, "not a stream")
        await pipe.execute()
    assert await site.parts.ended("embedder-1") == 1
    assert len(site.parts.log("embedder-1").splitlines()) < 60


async def test_health_and_metrics_are_served_and_nothing_that_publishes(site: Worksite) -> None:
    await site.work()
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert (await site.ask("GET", path)).status_code == 200
        assert (await site.ask("POST", path)).status_code == 405
    for path in ("/", "/asyncapi", "/asyncapi/try", "/docs", "/docs/asyncapi", "/docs/asyncapi/try"):
        assert [(await site.ask(method, path)).status_code for method in ("GET", "POST")] == [404, 404]


async def test_ids_and_texts_beyond_ascii_survive(site: Worksite) -> None:
    await site.work()
    await site.say(["Schlüssel, 鍵, مفتاح, 🔑"], user="Zoë/山田")
    await site.finished()
    assert list(await site.stored()) == ["Schlüssel, 鍵, مفتاح, 🔑"]


async def test_a_backlog_is_taken_in_hand_piece_by_piece(site: Worksite) -> None:
    await site.work(held_messages=300, batch_texts=50)
    site.script.open.clear()
    await site.say(texts(5000))
    await site.calls(2)
    held: list[int] = []

    async def is_steady() -> bool:
        # What is parked waits without its text, and counts as not delivered.
        held.append(sum(entry["times_delivered"] > 0 for entry in await site.pending()))
        return len(held) > 25 and len(set(held[-25:])) == 1

    await until(is_steady, "nothing more is taken up")
    # As many in progress as allowed, and one read that is being parked.
    assert held[-1] <= 300 + 150
    site.script.open.set()
    await site.finished()
    assert len(await site.stored()) == 5000
    assert max(site.script.counts.sizes) <= 50


async def test_a_trimmed_entry_is_acknowledged_and_told_at_restart(site: Worksite) -> None:
    await site.create_groups()
    entry_ids = await site.say(["trimmed", "left"])
    await site.redis.xreadgroup(keys.GROUP, "embedder-1", {site.stream: ">"})
    await site.redis.xdel(site.stream, entry_ids[0])
    await site.work()
    await site.finished()
    assert await site.stored() == {"left": [0]}
    assert await site.letters() == []
    assert f"ERROR embedder memstream.embedder.leases: 1 pending entries of {site.stream}" in site.parts.log(
        "embedder-1"
    )
    assert entry_ids[0] in site.parts.log("embedder-1")


async def test_a_trimmed_entry_of_another_worker_is_told_too(site: Worksite) -> None:
    await site.create_groups()
    (entry_id,) = await site.say(["trimmed"])
    await site.redis.xreadgroup(keys.GROUP, "somebody", {site.stream: ">"})
    await site.redis.xdel(site.stream, entry_id)
    await site.work(claim_idle=1)
    await site.finished()
    assert entry_id in site.parts.log("embedder-1")
