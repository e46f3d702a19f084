"""What the embedder does while a dependency fails: it waits, reports it, and loses nothing."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence

import pytest
from integration.worksite import Worksite, texts
from provider.faults import FaultName
from provider.script import Latency
from waiting import PATIENCE, until

from memstream.contracts import keys
from memstream.embedder.jobs import Delivery
from memstream.embedder.streams import source_streams
from memstream.embedder.subscriptions import Subscriptions
from memstream.runtime.errors import Unavailable


async def stored_in_full(site: Worksite, expected: list[str]) -> None:
    """Wait until all is acknowledged; then all is stored, and nothing is a dead letter."""
    await site.finished()
    assert await site.stored() == {text: [0] for text in expected}
    assert await site.letters() == []


def outage(site: Worksite, part: str) -> tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]:
    """Give how a part is lost, and how it comes back."""

    async def lose_embeddings() -> None:
        site.script.fail("unavailable")

    async def mend_embeddings() -> None:
        site.script.mend()

    if part == "the embeddings server":
        return lose_embeddings, mend_embeddings
    name = part.lower()
    return lambda: site.parts.kill(name), lambda: site.come_back(name)


FAILS_FOR_ALL = (
    "unauthorized",
    "insufficient_quota",
    "unknown_model",
    "wrong_dimension",
    "bad_request",
    "not_a_number",
)
DEPENDENCIES = pytest.mark.parametrize("part", ["Redis", "Qdrant", "the embeddings server"])


@DEPENDENCIES
async def test_without_a_dependency_at_start_it_is_live_and_starts_when_that_is_there(
    site: Worksite, part: str
) -> None:
    lose, come_back = outage(site, part)
    await lose()
    await site.work(ready=False)
    await site.not_ready_for(part)
    await come_back()
    await until(site.is_ready, "ready without a restart")
    await site.say(["then"])
    await stored_in_full(site, ["then"])


@DEPENDENCIES
async def test_a_dependency_lost_while_working_costs_nothing(site: Worksite, part: str) -> None:
    lose, come_back = outage(site, part)
    await site.work(batch_texts=10)
    site.script.latency = Latency(0.02)
    await site.say(texts(400))
    await site.calls(10)
    await lose()
    await site.not_ready_for(part)
    await come_back()
    await stored_in_full(site, texts(400))
    await until(site.is_ready, "ready again")


@pytest.mark.parametrize("part", ["Redis", "Qdrant"])
async def test_a_dependency_lost_while_idle_shows_and_is_found_again(site: Worksite, part: str) -> None:
    lose, come_back = outage(site, part)
    await site.work()
    await lose()
    await site.not_ready_for(part)
    await come_back()
    await until(site.is_ready, "ready again")
    await site.say(["afterwards"])
    await stored_in_full(site, ["afterwards"])


async def test_reading_that_could_not_start_starts_later(site: Worksite) -> None:
    taken: list[str] = []

    async def take(deliveries: Sequence[Delivery]) -> None:
        taken.extend(delivery.entry_id for delivery in deliveries)

    await site.parts.kill("redis")
    url = site.parts.plan.redis_url
    subscriptions = Subscriptions(url, source_streams(1), consumer="here", offer=take, read_entries=10)
    with pytest.raises(Unavailable):
        await subscriptions.start()
    await site.come_back("redis")
    await site.create_groups()
    await subscriptions.start()
    sent = await site.say(texts(3))
    await until(lambda: taken == sent, "the entries are read")
    assert subscriptions.failed_streams() == []
    await subscriptions.stop()


async def test_a_redis_that_does_not_answer_is_given_up_and_found_again(site: Worksite) -> None:
    await site.work()
    site.parts.signal("redis", signal.SIGSTOP)
    await site.not_ready_for("redis")
    # The read that hangs is given up after five seconds; only then the message below can be read by the next one.
    await until(lambda: "Message fetch error" in site.parts.log("embedder-1"), "the read is given up")
    site.parts.signal("redis", signal.SIGCONT)
    await site.say(["afterwards"])
    await stored_in_full(site, ["afterwards"])


async def test_retry_after_is_honoured(site: Worksite) -> None:
    await site.work()
    site.script.fail_next(1, "rate_limit", retry_after=2)
    await site.say(["patient"])
    await stored_in_full(site, ["patient"])
    first, second = site.script.counts.times
    assert second - first >= 2.0


@pytest.mark.parametrize("fault", ["server_error", "unavailable", "dropped", "wrong_count", "shuffled"])
async def test_what_passes_is_tried_again(site: Worksite, fault: FaultName) -> None:
    await site.work()
    site.script.fail_next(3, fault)
    await site.say(texts(20))
    await stored_in_full(site, texts(20))


async def test_a_storm_of_rate_limits_is_survived(site: Worksite) -> None:
    await site.work(batch_texts=10)
    site.script.storm = 0.7
    await site.say(texts(200))
    await until(lambda: site.script.counts.refused > 10, "it storms")
    site.script.mend()
    await stored_in_full(site, texts(200))


async def test_a_call_without_an_answer_is_given_up_and_tried_again(site: Worksite) -> None:
    await site.work(embeddings_timeout=1)
    site.script.fail_next(1, "timeout")
    await site.say(texts(20))
    await stored_in_full(site, texts(20))


@pytest.mark.parametrize("fault", FAILS_FOR_ALL)
async def test_what_fails_for_every_message_is_waited_for(site: Worksite, fault: FaultName) -> None:
    await site.work()
    site.script.fail(fault)
    await site.say(texts(30))
    await site.not_ready_for("the embeddings server")
    await site.calls(4)
    assert len(await site.pending()) == 30
    site.script.mend()
    await stored_in_full(site, texts(30))
    await until(site.is_ready, "ready again")


async def test_a_refusal_just_before_the_server_is_mended_costs_no_message(site: Worksite) -> None:
    await site.work()
    site.script.fail_next(1, "bad_request")
    await site.say(["refused once"])
    await stored_in_full(site, ["refused once"])


async def test_the_poison_in_a_batch_is_found_by_halving(site: Worksite) -> None:
    site.script.poison.add("number 77")
    await site.work(linger=0.5)
    await site.say([f"number {index}." for index in range(77)])
    await site.say(["number 77."])
    await site.say([f"number {index}." for index in range(78, 128)])
    await site.finished()
    (letter,) = await site.letters()
    assert (letter[b"class"], b"number 77." in letter[b"original:data"]) == (b"poison", True)
    assert b"HTTP 400" in letter[b"reason"]
    assert len(await site.stored()) == 127
    # One call of 128, two for each of its 7 halvings, one to try it again, and two to see that it isn't the provider.
    assert site.script.counts.calls <= 1 + 2 * 7 + 3


async def test_a_refusal_after_an_outage_leaves_it_ready(site: Worksite) -> None:
    site.script.poison.add("poison")
    await site.work()
    site.script.fail_next(2, "server_error")
    await site.say(["poison"])
    await site.finished()
    assert len(await site.letters()) == 1
    await until(site.is_ready, "ready again")


async def test_a_collection_of_other_dimensions_condemns_nothing(site: Worksite) -> None:
    await site.work()
    await site.change_collection(dimensions=7)
    await site.say(texts(10))
    await site.not_ready_for("7 dimensions")
    assert len(await site.pending()) == 10
    await site.change_collection()
    await stored_in_full(site, texts(10))
    await until(site.is_ready, "ready again")


async def test_a_vector_that_holds_no_numbers_is_not_stored(site: Worksite) -> None:
    await site.work()
    site.script.without_numbers.add("no numbers")
    await site.say(["no numbers"])
    await site.finished()
    (letter,) = await site.letters()
    assert letter[b"class"] == b"poison"
    assert await site.stored() == {}


async def test_identical_texts_in_a_batch_are_embedded_once(site: Worksite) -> None:
    await site.create_groups()
    await asyncio.gather(*(site.say(["the same"], user=f"user {index}") for index in range(20)))
    # The batch is full with the last of them, and not begun before.
    await site.work(ready=False, concurrency=1, batch_texts=20, linger=PATIENCE)
    await site.finished()
    same = [count for text, count in site.script.counts.by_text.items() if "the same" in text]
    assert same == [1]
    assert len((await site.stored())["the same"]) == 20


async def test_a_long_message_becomes_consecutive_chunks(site: Worksite) -> None:
    await site.work(chunk_tokens=50, chunk_overlap_tokens=5)
    await site.say([" ".join(f"Sentence {index} says something." for index in range(100))])
    await site.finished()
    ((chunks),) = (await site.stored()).values()
    assert len(chunks) > 8
    assert chunks == list(range(len(chunks)))


async def test_live_messages_do_not_wait_for_an_import(site: Worksite) -> None:
    await site.work(concurrency=1, held_messages=200, batch_texts=20)
    site.script.latency = Latency(0.05)
    await site.say(texts(2000), lane="bulk")
    await site.calls(3)
    await site.say(["now"])
    before = site.script.counts.calls
    await until(lambda: any(text.endswith("now") for text in site.script.counts.by_text), "it is embedded")
    assert site.script.counts.calls - before <= 4
    (group,) = await site.redis.xinfo_groups(keys.stream(0, "bulk"))
    assert group["lag"] + group["pending"] > 0
