"""Ingests: how many messages they accept, each with callers of its own."""

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks.command import say
from benchmarks.premises import Provider
from benchmarks.program import told
from benchmarks.record import Record
from benchmarks.scale.costs import Span
from benchmarks.scale.findings import compare, note
from benchmarks.scale.grounds import Grounds, span_between
from benchmarks.site import Site, opened
from memstream.contracts import keys

_CONNECTIONS = 256
"""To each ingest; enough that it is not the disk that it waits for."""
_GOALS = {2: 1.8}


async def measure_ingests(chosen: argparse.Namespace, record: Record, grounds: Grounds) -> None:
    """Measure every number of ingests in each round, on the same Redis."""
    most = max(chosen.ingests)
    names = [f"ingest-{number + 1}" for number in range(most)]
    async with opened(
        Provider(dimensions=chosen.dimensions), first_port=chosen.first_port, premises=grounds.premises(ingests=most)
    ) as site:
        await grounds.start(site, "redis")
        await grounds.start(site, "keys")
        await grounds.start(site, *names)
        before, accepted = await _stored(site), 0
        for number in range(1, chosen.rounds + 1):
            spans: dict[int, Span] = {}
            for ingests in chosen.ingests:
                say(f"round {number} of {chosen.rounds}: {ingests} ingests")
                spans[ingests] = await _load(chosen, site, names[:ingests])
                accepted += spans[ingests].done
                note(record, spans[ingests], f"{ingests} ingest{'s'[: ingests != 1]}", "messages", grounds.usable)
                if ingests in _GOALS and 1 in spans:
                    compare(record, spans[1], spans[ingests], "ingest", ingests, _GOALS[ingests])
        memory, disk = ((now - then) / accepted for now, then in zip(await _stored(site), before, strict=True))
        await site.redis.xtrim(keys.stream(0, "live"), maxlen=0, approximate=False)
        left = ((await _stored(site))[0] - before[0]) / accepted
        record.add("Redis' memory for a message in the stream", "bytes", memory - left)
        record.add("Redis' memory for a message that has left the stream", "bytes", left)
        record.add("Redis' append-only file for a message", "bytes", disk)


async def _load(chosen: argparse.Namespace, site: Site, names: list[str]) -> Span:
    async def ask(name: str) -> int:
        done = await told(
            *(sys.executable, "-m", "benchmarks.ingest.load", site.url_of(name), site.keys.api_key),
            *(str(_CONNECTIONS), str(chosen.seconds), "1"),
        )
        return int(done["per_second"] * chosen.seconds)

    before = site.usage()
    accepted = sum(await asyncio.gather(*(ask(name) for name in names)))
    after = {name: usage for name, usage in site.usage().items() if name in (*names, "redis")}
    return span_between(before, after, accepted, chosen.seconds)


async def _stored(site: Site) -> tuple[int, int]:
    """Return the bytes that Redis has in memory and on disk."""
    memory = await site.redis.info("memory")
    files = [file for file in Path(site.folder / "redis").rglob("*") if file.is_file()]  # noqa: ASYNC240 - few files
    return int(memory["used_memory"]), sum(file.stat().st_size for file in files)
