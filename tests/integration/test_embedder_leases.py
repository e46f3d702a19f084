"""Pending entries: whose they are, who takes them over, and how often they count as delivered."""

import asyncio
import json
import signal
from itertools import pairwise

from integration.worksite import EMBEDDERS, Worksite, texts
from waiting import until

from memstream.contracts import keys

LEASE = 6
"""Seconds; a worker that is busy with something else for most of them must not lose it."""
RENEWALS = 4
"""So many, each after a third, and without the first of them the lease would have ended."""


async def deliver(site: Worksite, consumer: str, times: int = 1) -> None:
    """Deliver what is new to a consumer that does nothing with it, so many times."""
    await site.redis.xreadgroup(keys.GROUP, consumer, {site.stream: ">"})
    for _ in range(times - 1):
        await site.redis.xreadgroup(keys.GROUP, consumer, {site.stream: "0"})


async def all_pending(site: Worksite, number: int, consumer: str) -> None:
    """Wait until so many entries are pending with a consumer."""

    async def counted() -> bool:
        return len(await site.pending(consumer)) == number

    await until(counted, f"{number} entries are pending with {consumer}")


async def test_a_worker_drains_its_own_pending_entries_at_restart(site: Worksite) -> None:
    await site.create_groups()
    await site.say(texts(30))
    await deliver(site, "embedder-1")
    # Nobody may take them over within this test.
    await site.work(claim_idle=3600)
    await site.finished()
    assert await site.stored() == {text: [0] for text in texts(30)}


async def test_entries_of_a_killed_worker_are_taken_over(site: Worksite) -> None:
    await site.work(claim_idle=2)
    site.script.open.clear()
    await site.say(texts(40))
    await all_pending(site, 40, "embedder-1")
    await site.parts.kill("embedder-1")
    site.script.open.set()
    await site.work("embedder-2", claim_idle=2)
    await site.finished()
    assert await site.stored() == {text: [0] for text in texts(40)}


async def test_entries_of_a_paused_worker_are_taken_over_and_its_return_harms_nothing(site: Worksite) -> None:
    await site.work(claim_idle=2)
    site.script.open.clear()
    await site.say(texts(40))
    await all_pending(site, 40, "embedder-1")
    await site.calls(1)
    site.parts.signal("embedder-1", signal.SIGSTOP)
    site.script.open.set()
    await site.work("embedder-2", claim_idle=2)
    await site.finished()
    site.parts.signal("embedder-1", signal.SIGCONT)
    await site.say(["afterwards"])
    await site.finished()
    await until(site.is_ready, "the paused worker is ready again")
    assert await site.stored() == {text: [0] for text in [*texts(40), "afterwards"]}
    assert await site.letters() == []


async def test_slow_work_keeps_its_lease(site: Worksite) -> None:
    await asyncio.gather(*(site.work(name, claim_idle=LEASE) for name in EMBEDDERS))
    site.script.open.clear()
    await site.say(["slow"])
    await site.calls(1)
    seen: list[int] = []

    async def lasted() -> bool:
        (entry,) = await site.pending()
        assert entry["times_delivered"] == 1
        assert entry["time_since_delivered"] < 1000 * LEASE
        seen.append(entry["time_since_delivered"])
        renewals = sum(later < earlier for earlier, later in pairwise(seen))
        return renewals >= RENEWALS

    await until(lasted, "the lease was renewed several times over")
    site.script.open.set()
    await site.finished()
    assert site.script.counts.calls == 1


async def test_entries_that_wait_for_room_keep_their_lease(site: Worksite) -> None:
    await site.work(claim_idle=LEASE, held_messages=4, batch_texts=2, concurrency=1)
    site.script.open.clear()
    await site.say(texts(8))

    async def more_than_there_is_room_for() -> bool:
        return len(await site.pending("embedder-1")) > 4

    await until(more_than_there_is_room_for, "four are in progress, and the others are parked")
    rounds: list[int] = []

    async def lasted() -> bool:
        entries = await site.pending()
        # Waiting for room is no delivery.
        assert {entry["times_delivered"] for entry in entries} <= {0, 1}
        rounds.append(max(entry["time_since_delivered"] for entry in entries))
        return sum(later < earlier for earlier, later in pairwise(rounds)) >= RENEWALS

    await until(lasted, "the leases were renewed several times over")
    site.script.open.set()
    await site.finished()
    assert site.script.counts.texts == 8


async def test_redelivered_entries_are_worked_on_alone(site: Worksite) -> None:
    await site.create_groups()
    await site.say(texts(5))
    await deliver(site, "embedder-1")
    # The first call is the one that tries the provider.
    await site.work(ready=False)
    await site.finished()
    assert site.script.counts.sizes == [1] * 6


async def test_parked_entries_of_a_killed_worker_are_no_suspects(site: Worksite) -> None:
    await site.work(claim_idle=2, held_messages=8, batch_texts=8, concurrency=1)
    site.script.open.clear()
    await site.say(texts(400))

    async def parked() -> bool:
        entries = await site.pending("embedder-1")
        return len(entries) == 400 and sum(entry["times_delivered"] == 0 for entry in entries) >= 392

    await until(parked, "all are read, and all but those in progress are parked")
    await site.parts.kill("embedder-1")
    site.script.open.set()
    site.script.forget()
    await site.work("embedder-2", claim_idle=2, held_messages=64, batch_texts=32)
    await site.finished()
    assert await site.stored() == {text: [0] for text in texts(400)}
    # Alone go those that were in progress, and not the others; with how many these go depends on when they are read.
    assert site.script.counts.sizes.count(1) <= 400 / 10


async def test_redelivered_entries_do_not_wait_for_the_end_of_a_backlog(site: Worksite) -> None:
    await site.create_groups()
    await site.say(["again"])
    await deliver(site, "embedder-2")
    site.script.open.clear()
    await site.work(ready=False, claim_idle=1, held_messages=20, batch_texts=1, concurrency=1)
    await site.calls(1)
    await site.say(texts(3000))
    site.script.open.set()
    await until(lambda: any("again" in text for text in site.script.counts.by_text), "it was its turn")
    assert len(await site.stored()) < 3000


async def test_an_entry_delivered_too_often_is_a_dead_letter(site: Worksite) -> None:
    await site.create_groups()
    await site.say(["condemned"])
    await deliver(site, "embedder-1", times=3)
    await site.work(max_deliveries=3)
    await site.finished()
    (letter,) = await site.letters()
    assert (letter[b"class"], letter[b"attempts"]) == (b"unknown", b"4")
    assert json.loads(letter[b"original:data"])["text"] == "condemned"
    assert await site.stored() == {}


async def test_a_delivery_count_is_found_among_many_entries_in_hand(site: Worksite) -> None:
    await site.create_groups()
    await site.say(["condemned"])
    await deliver(site, "embedder-2", times=3)
    await site.say(texts(150))
    await deliver(site, "embedder-1")
    await site.say(["condemned too"])
    await deliver(site, "embedder-2")
    await site.redis.xreadgroup(keys.GROUP, "embedder-2", {site.stream: "0"})
    await site.redis.xreadgroup(keys.GROUP, "embedder-2", {site.stream: "0"})
    await site.work(max_deliveries=3, claim_idle=1)
    await site.finished()
    assert {json.loads(letter[b"original:data"])["text"] for letter in await site.letters()} == {
        "condemned",
        "condemned too",
    }


async def test_only_entries_that_are_done_are_acknowledged(site: Worksite) -> None:
    await site.work(batch_texts=1, concurrency=2)
    site.script.open.clear()
    await site.say(["waits"])
    await site.calls(1)
    entry_id = (await site.pending())[0]["message_id"]
    site.script.fail_next(1, "shuffled")
    await site.say(["waits as well"])
    await site.calls(2)
    await site.redis.xadd(site.stream, {"data": "no event"})

    async def one_letter() -> bool:
        return len(await site.letters()) == 1

    await until(one_letter, "what can't be read is dead")
    assert (await site.pending())[0]["message_id"] == entry_id
    assert len(await site.pending()) == 2
    site.script.open.set()
    await site.finished()


async def test_an_outage_is_not_counted_as_a_delivery(site: Worksite) -> None:
    await site.work(grace=1, max_deliveries=1)
    site.script.fail("insufficient_quota")
    await site.say(texts(5))
    for _ in range(2):
        await site.not_ready_for("quota")
        assert await site.parts.stop("embedder-1") == 0
        await site.work(ready=False, grace=1, max_deliveries=1)
    site.script.mend()
    await site.finished()
    assert await site.letters() == []
    assert len(await site.stored()) == 5


async def test_what_a_worker_hands_back_is_free_at_once_and_not_counted(site: Worksite) -> None:
    await site.work(grace=1, claim_idle=600)
    site.script.open.clear()
    await site.say(texts(5))
    await all_pending(site, 5, "embedder-1")
    assert await site.parts.stop("embedder-1") == 0
    entries = await site.pending()
    assert {entry["times_delivered"] for entry in entries} == {0}
    assert min(entry["time_since_delivered"] for entry in entries) >= 600_000
