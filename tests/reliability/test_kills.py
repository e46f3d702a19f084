"""Each process is killed in turn while messages are sent: what was accepted is stored once, whatever dies."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from random import Random

import pytest
from installation import Installation, installed
from reliability.history import Answered, Disturbed, History
from reliability.observation import observe
from reliability.traffic import Traffic, draw_orders
from reliability.validators import violations
from waiting import until

from memstream.contracts import keys
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import Unavailable
from memstream.runtime.streams import backlog, redis_faults

MESSAGES = 3000
VICTIMS = ("redis", "qdrant", "embeddings", "ingest-1", "embedder-1", "embedder-2", "retriever-1")
EMBEDDERS = ("embedder-1", "embedder-2")
_TRIMMING = {"MEMSTREAM_EMBEDDER_TRIM_PERIOD": "0.2", "MEMSTREAM_EMBEDDER_REPLAY_WINDOW": "1"}
_SETTINGS = {name: {"MEMSTREAM_EMBEDDER_CLAIM_IDLE": "3", **_TRIMMING} for name in EMBEDDERS}
_SPARE_SHARES = 5
_BURST = 20
_RECENTLY_MS = 200
_LOOK_SECONDS = 0.1


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Installation]:
    """Run a Memstream with two embedders."""
    async with installed(Installation(folder, embedders=2, settings=_SETTINGS)) as parts:
        await parts.start("redis")
        await parts.start("keys", "qdrant", "embeddings")
        await parts.start("ingest-1", "embedder-1", "embedder-2", "retriever-1")
        yield parts


async def kill_each(parts: Installation, traffic: Traffic, orders: int, history: History, chance: Random) -> None:
    """Kill the parts in a random order, each while messages are in hand; start it again right after.

    Nobody waits until it is ready, so the next may be killed while it isn't.
    """
    for part in chance.sample(VICTIMS, len(VICTIMS)):
        # What is left over is for the time in which no embedder works.
        traffic.allowed += orders // (len(VICTIMS) + _SPARE_SHARES)
        traffic.allowed = min(traffic.allowed, orders)
        due = traffic.allowed - chance.randint(0, _BURST)
        await until(partial(_has_come_to, traffic, due), f"{due} orders are done", within=60)
        await until(partial(_are_in_hand, parts, traffic, part), f"messages are in hand before {part} dies", within=60)
        await parts.kill(part)
        history.add(Disturbed(part, "killed"))
        await parts.start(part, ready=False)
    traffic.allowed = orders
    for part in VICTIMS:
        await until(partial(_answers, parts, part), f"{part} is ready", within=60)
        history.add(Disturbed(part, "ready"))


async def _answers(parts: Installation, part: str) -> bool:
    child = parts._children[part]
    assert child.probe is not None
    return await child.probe(child.port) is None


def _has_come_to(traffic: Traffic, orders: int) -> bool:
    return traffic.settled >= orders


async def _are_in_hand(parts: Installation, traffic: Traffic, victim: str) -> bool:
    """Say whether an embedder has just taken messages in hand, the victim itself if it is one; else send some more."""
    try:
        with redis_faults():
            consumers = await parts.redis.xinfo_consumers(keys.stream(0, "live"), keys.GROUP)
        waiting = await backlog(parts.redis, keys.stream(0, "live"))
    except Unavailable:
        return False
    for consumer in consumers:
        named = victim in {consumer["name"].decode(), *(set(VICTIMS) - set(EMBEDDERS))}
        if named and consumer["pending"] and consumer["inactive"] < _RECENTLY_MS:
            return True
    traffic.allowed += waiting == 0
    return False


@contextlib.asynccontextmanager
async def kept(parts: Installation, history: History) -> AsyncIterator[None]:
    """Start embedders again that end by themselves, as a supervisor does."""

    async def keep() -> None:
        while True:
            for part in EMBEDDERS:
                if parts._processes[part].returncode not in {None, -signal.SIGKILL}:
                    history.add(Disturbed(part, "ended"))
                    await parts.start(part, ready=False)
            await asyncio.sleep(_LOOK_SECONDS)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()


async def worked_off(parts: Installation) -> None:
    """Wait until no entry waits."""

    async def nothing_waits() -> bool:
        try:
            return sum([await backlog(parts.redis, keys.stream(0, lane)) for lane in keys.LANES]) == 0
        except Unavailable:
            return False

    await until(nothing_waits, "the backlog is worked off", within=60)


@pytest.mark.timeout(240)
async def test_what_is_accepted_is_stored_once_whichever_process_is_killed(seed: int, tmp_path: Path) -> None:
    clock, chance = SystemClock(), Random(seed)  # noqa: S311 - nothing secret is made from it
    start = clock.monotonic()
    history = History(now=lambda: clock.monotonic() - start)
    record = tmp_path / "history.jsonl"
    print(f"seed {seed}: history and logs in {tmp_path}")  # noqa: T201 - shown when it fails
    orders = draw_orders(seed, MESSAGES)
    try:
        async with running(tmp_path / "home") as parts, parts.client("ingest-1") as ingest, kept(parts, history):
            async with parts.client("retriever-1") as retriever, asyncio.TaskGroup() as under_way:
                traffic = Traffic(ingest, retriever, history, clock, chance)
                under_way.create_task(traffic.run(orders))
                under_way.create_task(kill_each(parts, traffic, len(orders), history, Random(seed)))  # noqa: S311
            await parts.redis.connection_pool.disconnect()
            await worked_off(parts)
            await observe(history, parts.url("qdrant"), ingest, parts.redis)
    finally:
        history.write(record)
    outcomes = Counter(answer.outcome for answer in history.of(Answered))
    ended = sum(disturbed.action == "ended" for disturbed in history.of(Disturbed))
    print(f"answers: {dict(outcomes)}; embedders that ended by themselves: {ended}")  # noqa: T201 - same
    assert violations(History.read(record)) == []
    accepted = {answer.message_id for answer in history.of(Answered) if answer.outcome == "accepted"}
    assert len(accepted) > MESSAGES * 0.9
