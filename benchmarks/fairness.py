"""What a tenant's message waits for while another tenant floods the same worker.

    python -m benchmarks.fairness deletes|refused|backlog [options] [--json FILE]

`deletes`: 1,000 requests to delete. `refused`: 100 texts that the provider refuses. `backlog`: 60,000 live messages.
The other tenant's messages come one after the other, first alone and then behind the flood. Each is timed from its
append to the stream until it is acknowledged, which is when a search finds it. The provider is simulated.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

from benchmarks.command import carry_out, say, shared_options
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.site import Failed, Site, opened
from memstream.contracts import keys
from memstream.contracts.events import MessageDeleted, MessageRecorded, UserErased
from memstream.streams.groups import create_groups

_NOT_MEASURED = ["ingest's own limits", "several workers", "a distant provider", "a queue that floods all streams"]
_NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_STREAM = keys.stream(0, "live")
_POLL_SECONDS = 0.005
_PATIENCE_SECONDS = 300.0
_PIPELINED = 1000
_POISON = "refused by the provider"
_Event = MessageRecorded | MessageDeleted | UserErased
_FLOODS = {"deletes": 1000, "refused": 100, "backlog": 60_000}
_numbers = count(1)


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Time messages alone, and behind the flood."""
    for number in range(1, chosen.rounds + 1):
        say(f"round {number} of {chosen.rounds}")
        provider = Provider(chosen.latency, dimensions=64, seed=chosen.seed)
        async with opened(provider, first_port=chosen.first_port) as site:
            await site.start("redis", "qdrant", "provider")
            await create_groups(site.redis, 1)
            await site.start(*site.workers)
            await site.script(poison=[_POISON])
            await _stored(site, "quiet")
            if chosen.run == "deletes":
                await _append(site, [_message("hostile", number) for number in range(chosen.number)])
                await _caught_up(site)
            alone = [await _stored(site, "quiet") for _ in range(chosen.messages)]
            await _append(site, _flood(chosen.run, chosen.number))
            during = [await _stored(site, "quiet") for _ in range(chosen.messages)]
        for name, times in (("alone", alone), ("during the flood", during)):
            for seconds in times:
                record.add(f"a message is stored after, {name}", "ms", 1000 * seconds)
            record.add(f"the slowest, {name}", "ms", 1000 * max(times))


def _flood(kind: str, number: int) -> list[_Event]:
    if kind == "deletes":
        return [
            MessageDeleted(
                tenant="hostile", user_id="u", message_id=f"m-{index}", erasure_id=f"0-{index}", deleted_at=_NOW
            )
            for index in range(number)
        ]
    return [_message("hostile", index, _POISON if kind == "refused" else "live") for index in range(number)]


def _message(tenant: str, number: int, text: str = "stored") -> MessageRecorded:
    return MessageRecorded(
        tenant=tenant,
        user_id="u",
        message_id=f"m-{number}",
        text=f"{number} {text}",
        occurred_at=_NOW,
        recorded_at=_NOW,
    )


async def _append(site: Site, events: Sequence[_Event]) -> str:
    """Append events as ingest would, and return the last one's entry id."""
    entry_id = b""
    for start in range(0, len(events), _PIPELINED):
        async with site.redis.pipeline(transaction=False) as pipe:
            for event in events[start : start + _PIPELINED]:
                pipe.xadd(_STREAM, {keys.TYPE_FIELD: event.type, keys.DATA_FIELD: event.model_dump_json()})
            entry_id = (await pipe.execute())[-1]
    return entry_id.decode()


async def _stored(site: Site, tenant: str) -> float:
    """Append a message, and return the seconds until it is acknowledged."""
    begun = time.perf_counter()
    entry_id = await _append(site, [_message(tenant, next(_numbers))])
    while time.perf_counter() < begun + _PATIENCE_SECONDS:
        await asyncio.sleep(_POLL_SECONDS)
        (group,) = await site.redis.xinfo_groups(_STREAM)
        is_read = keys.entry_order(group["last-delivered-id"].decode()) >= keys.entry_order(entry_id)
        if is_read and not await site.redis.xpending_range(_STREAM, keys.GROUP, min=entry_id, max=entry_id, count=1):
            return time.perf_counter() - begun
    raise Failed(f"not stored after {_PATIENCE_SECONDS:g} s\n{site.log(site.workers[0])}")


async def _caught_up(site: Site) -> None:
    """Wait until nothing is left."""
    while True:
        (group,) = await site.redis.xinfo_groups(_STREAM)
        if group["lag"] == 0 and not group["pending"]:
            return
        site.require_alive()
        await asyncio.sleep(_POLL_SECONDS)


def main() -> None:
    """Run the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True, metavar="FLOOD")
    for name, number in _FLOODS.items():
        command = commands.add_parser(name, parents=[shared_options(rounds=1, within=3600.0)])
        command.add_argument("--number", type=int, default=number, help="of them [%(default)d]")
        command.add_argument("--messages", type=int, default=5, help="of the other tenant, each time [%(default)d]")
        command.add_argument("--latency", type=float, default=0.05, help="seconds a call [%(default)g]")
        command.set_defaults(run=name)
    options = parser.parse_args()
    carry_out(f"fairness {options.run}", _NOT_MEASURED, measure, options)


if __name__ == "__main__":
    main()
