"""Taking entries up, and releasing them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from unit.examples import entry
from unit.pipelines import pipeline_on

from memstream.streams.connections import Redis, connect


@asynccontextmanager
async def silent_redis() -> AsyncIterator[tuple[Redis, asyncio.Event]]:
    """Run a server that takes commands and never answers; give a client, and what is set once a command has come."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await over.wait()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", timeout=60.0)
        try:
            yield client, asked
        finally:
            over.set()
            await client.aclose()


@pytest.mark.parametrize("closed", [False, True])
async def test_an_entry_whose_offer_is_broken_off_keeps_no_lease_unless_it_is_handed_back(*, closed: bool) -> None:
    async with silent_redis() as (redis, asked):
        parts = pipeline_on(redis)
        pipeline, held = parts.pipeline, parts.held
        offering = asyncio.create_task(pipeline.offer([entry(b"no event", entry_id="1-0"), entry(b"", entry_id="2-0")]))
        await asked.wait()  # the first is being dead-lettered, the second waits
        if closed:
            pipeline.close()

        offering.cancel()
        await asyncio.gather(offering, return_exceptions=True)

        assert [delivery.entry_id for delivery in held.entries] == (["1-0", "2-0"] if closed else [])
