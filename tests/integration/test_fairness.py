"""What one tenant sends, deletes, or gets refused doesn't keep the others waiting: on a real Redis."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from integration.worksite import Worksite
from unit.examples import FencedPoints
from unit.manual_clock import START
from unit.pipelines import Parts, embed, pipeline_on
from waiting import until

from memstream.contracts import keys
from memstream.contracts.events import MessageRecorded
from memstream.contracts.keys import Lane
from memstream.embedder.batch_processor import Servers
from memstream.embedder.streams import source_streams
from memstream.embedder.subscriptions import Subscriptions
from memstream.vectors.space import Vectors

ROOM = 32
PER_CALL = 8


class Provider:
    """Embeds whatever comes, once it is open, and keeps a record of whose texts share a call."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.calls: list[Counter[str]] = []

    async def embed(self, texts: Sequence[str], lane: Lane) -> Vectors:
        """Embed texts that name their tenant at the end."""
        self.calls.append(Counter(text.split()[-1] for text in texts))
        await self.is_open.wait()
        return await embed(texts, lane)

    def texts(self, tenant: str) -> int:
        """Count the texts of a tenant."""
        return sum(call[tenant] for call in self.calls)


async def send(site: Worksite, tenant: str, number: int, *, text: str = "message", lane: Lane = "live") -> list[str]:
    """Append messages as ingest does; return their entry ids."""
    async with site.redis.pipeline(transaction=False) as pipe:
        for index in range(number):
            event = MessageRecorded(
                tenant=tenant,
                user_id="u",
                message_id=f"{text} {index}",
                text=f"{text} {index} of {tenant}",
                occurred_at=START,
                recorded_at=START,
            )
            pipe.xadd(keys.stream(0, lane), {keys.TYPE_FIELD: event.type, keys.DATA_FIELD: event.model_dump_json()})
        return [entry_id.decode() for entry_id in await pipe.execute()]


@contextlib.asynccontextmanager
async def reading(site: Worksite, provider: Provider, parked: int = 10_000) -> AsyncIterator[Parts]:
    """Read the streams into a small pipeline that embeds by this provider."""
    await site.create_groups()
    servers = Servers(provider.embed, FencedPoints())
    parts = pipeline_on(site.redis, messages=ROOM, servers=servers, batch_texts=PER_CALL, calls=1, parked=parked)
    offer = parts.pipeline.offer
    reader = Subscriptions(site.parts.plan.redis_url, source_streams(1), consumer="here", offer=offer, read_entries=16)
    running = asyncio.create_task(parts.pipeline.run())
    await reader.start()
    try:
        yield parts
    finally:
        await reader.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def is_read(site: Worksite, lane: Lane = "live") -> bool:
    """Say whether nothing is left to read."""
    groups = await site.redis.xinfo_groups(keys.stream(0, lane))
    return bool(groups[0]["lag"] == 0)


async def is_done(site: Worksite, entry_ids: list[str]) -> bool:
    """Say whether entries are acknowledged."""
    pending = {entry["message_id"].decode() for entry in await site.pending()}
    return await is_read(site) and not pending & set(entry_ids)


async def test_a_message_behind_another_tenants_backlog_waits_for_few_calls(site: Worksite) -> None:
    provider = Provider()
    async with reading(site, provider) as parts:
        await send(site, "hostile", 1000)
        said = await send(site, "quiet", 1)
        await until(lambda: is_read(site), "all is read, though nothing is embedded")
        assert len(parts.held.entries) <= ROOM
        provider.is_open.set()
        await until(lambda: is_done(site, said), "the message is acknowledged")
        # What was in progress, and its own call.
        before = next(number for number, call in enumerate(provider.calls) if call["quiet"])
        assert before <= ROOM / PER_CALL + 1
        await site.finished()
    assert (provider.texts("hostile"), provider.texts("quiet")) == (1000, 1)
    assert len(parts.parked) == len(parts.held.entries) == 0


async def test_tenants_with_a_backlog_get_the_same(site: Worksite) -> None:
    provider = Provider()
    async with reading(site, provider):
        await send(site, "a", 600)
        await send(site, "b", 200)
        await until(lambda: is_read(site), "all is read")
        provider.is_open.set()
        await site.finished()
    last_of_b = max(number for number, call in enumerate(provider.calls) if call["b"])
    texts_of_a = sum(call["a"] for call in provider.calls[: last_of_b + 1])
    assert texts_of_a <= 200 + 3 * ROOM


async def test_an_import_waits_for_no_end_of_live_messages(site: Worksite) -> None:
    provider = Provider()
    async with reading(site, provider):
        await send(site, "hostile", 1000)
        await until(lambda: is_read(site), "all is read")
        await send(site, "quiet", 8, lane="bulk")
        await until(lambda: is_read(site, "bulk"), "the import is read")
        provider.is_open.set()
        await until(lambda: provider.texts("quiet") == 8, "the import is embedded")
        assert provider.texts("hostile") <= 300
        await site.finished()


async def test_reading_stops_when_no_more_may_be_parked_and_goes_on(site: Worksite) -> None:
    provider = Provider()
    async with reading(site, provider, parked=100) as parts:
        await send(site, "hostile", 500)
        await until(lambda: len(parts.parked) == 100, "no more is parked")
        assert not await is_read(site)
        provider.is_open.set()
        await site.finished()
    assert provider.texts("hostile") == 500


async def test_another_tenants_refused_text_costs_the_good_ones_of_its_batch_one_more_call(site: Worksite) -> None:
    site.script.poison.add("refused")
    await site.work(linger=0.5)
    await send(site, "hostile", 1, text="refused")
    good = await send(site, "quiet", 99)
    await until(lambda: is_done(site, good), "the good ones are acknowledged")
    await site.finished()
    # The batch, its two parts, the refused text once more, and before and after that a word, to see that it isn't the
    # provider.
    assert site.script.counts.sizes[0] == 100
    assert sorted(site.script.counts.sizes) == [1, 1, 1, 1, 99, 100]
    assert len(await site.letters()) == 1


async def test_texts_that_are_refused_are_dead_lettered_slowly_and_delay_nobody_else(site: Worksite) -> None:
    site.script.poison.add("refused")
    await site.work()
    refused = await send(site, "hostile", 100, text="refused")

    async def opened() -> bool:
        return len(await site.letters()) >= 20

    await until(opened, "the breaker of that tenant opens")
    said = await send(site, "quiet", 200)
    await until(lambda: is_done(site, said), "the others' messages are acknowledged")
    assert len(await site.letters()) < 100
    assert not await is_done(site, refused)
    assert (await site.healthy("ready"))[0] == 200
