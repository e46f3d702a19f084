"""Retrievers: how many new questions they answer, each with callers of its own."""

import argparse
import asyncio

from benchmarks.backlog import Messages, fill
from benchmarks.command import say
from benchmarks.http_client import HttpClient
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.retriever.asking import Questions, in_turn
from benchmarks.scale.costs import Span
from benchmarks.scale.findings import compare, note
from benchmarks.scale.grounds import Grounds, span_between
from benchmarks.site import Failed, Site, opened

_GOALS = {2: 1.8}
_AT_ONCE = 32
_STORED_SECONDS = 300.0
_APART = 5_000_000
"""Between the numbers of questions to two retrievers, so that none is asked twice."""


async def measure_retrievers(chosen: argparse.Namespace, record: Record, grounds: Grounds) -> None:
    """Measure every number of retrievers in each round, on the same stored messages."""
    most = max(chosen.retrievers)
    names = [f"retriever-{number + 1}" for number in range(most)]
    provider = Provider(chosen.query_latency, dimensions=chosen.dimensions, seed=chosen.seed)
    async with opened(provider, first_port=chosen.first_port, premises=grounds.premises(retrievers=most)) as site:
        await grounds.start(site, "redis", "qdrant", "provider")
        await grounds.start(site, "keys")
        await fill(site, Messages(chosen.seed, users=chosen.users), chosen.users * chosen.messages, "live")
        await grounds.start(site, "embedder-1", *names)
        await _stored(site, chosen.users * chosen.messages)
        await site.kill("embedder-1")
        asked = 0
        for number in range(1, chosen.rounds + 1):
            spans: dict[int, Span] = {}
            for retrievers in chosen.retrievers:
                say(f"round {number} of {chosen.rounds}: {retrievers} retrievers")
                await _ask(chosen, site, names[:retrievers], chosen.warm_up, asked)
                asked += _APART // 100
                spans[retrievers] = await _ask(chosen, site, names[:retrievers], chosen.seconds, asked)
                asked += _APART // 100
                what = f"{retrievers} retriever{'s'[: retrievers != 1]}"
                note(record, spans[retrievers], what, "searches", grounds.usable)
                if retrievers in _GOALS and 1 in spans:
                    compare(record, spans[1], spans[retrievers], "retriever", retrievers, _GOALS[retrievers])


async def _ask(chosen: argparse.Namespace, site: Site, names: list[str], seconds: float, first: int) -> Span:
    questions = Questions(chosen.seed, chosen.users)
    clients = [HttpClient(site.url_of(name), site.keys.api_key) for name in names]
    before = site.usage()
    outcomes = await asyncio.gather(
        *(
            in_turn(client, questions.body, _AT_ONCE, seconds, first + place * _APART)
            for place, client in enumerate(clients)
        )
    )
    after = {name: usage for name, usage in site.usage().items() if not name.startswith("retriever") or name in names}
    for client in clients:
        client.close()
    failed = sum((outcome.failed for outcome in outcomes[1:]), outcomes[0].failed)
    if failed:
        raise Failed(f"searches were not answered: {dict(failed)}")
    took = max(outcome.seconds for outcome in outcomes)
    return span_between(before, after, sum(len(outcome.took) for outcome in outcomes), took)


async def _stored(site: Site, count: int) -> None:
    async with asyncio.timeout(_STORED_SECONDS):
        while await site.points() < count:
            site.require_alive()
            await asyncio.sleep(0.5)
