"""Compares Memstream with other memories, side by side on this machine.

    make peers DATA=FOLDER     (or python -m benchmarks.peers --data FOLDER [--rounds 3] [--json FILE])

- adds: messages per second until a search finds them, for one user with `--messages` messages of the set;
- searches: questions that were never asked before, about that user's messages, one at a time;
- quality: the share of the evidence among the first 5 and 10 hits, each question asked as its user.

mem0 and Memstream use the same Qdrant, and all use the same embeddings server: those of the local stack, with MiniLM.
In each round every contender has new processes. They add one after the other, and search in turn, ten questions each.
"""

import argparse
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.command import carry_out, say, shared_options
from benchmarks.peers.contenders import CONTENDERS, Contender, Running, running
from benchmarks.quality.metrics import Judgement, recall
from benchmarks.quality.sets import Judged, JudgedSet, read_set
from benchmarks.record import Record
from benchmarks.site import Site, opened

_NOT_MEASURED = [
    "a network between the parts, TLS",
    "several requests at a time",
    "what mem0 does with a language model, or with spaCy and fastembed: it compares cosines only",
    "parts on separate machines: applications, services and servers share the cores",
]
_ENVIRONMENT = Path(__file__).parents[2] / "build" / "peers" / "bin" / "python"
_HITS = 10
_WARM_UP = 30
_SLICE = 10
"""Questions that a contender is asked before the next one's turn, so that other load meets all alike."""
_SERVERS = ("qdrant", "embeddings")
_OURS, _REFERENCE = "Memstream", "mem0"


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Measure every contender in every round."""
    with TemporaryDirectory(prefix="memstream-peers-") as work:
        judged = read_set(chosen.data, Path(work))
        messages = [json.loads(line) for line in judged.messages.read_text().splitlines()]
        async with opened(None, first_port=chosen.first_port) as site:
            await site.start("redis", "qdrant", "embeddings")
            await site.start("keys")
            bench = _Bench(site, chosen, record, Path(work))
            for number in range(1, chosen.rounds + 1):
                say(f"round {number} of {chosen.rounds}")
                await bench.speed(number, messages[: chosen.messages], judged.questions)
            bench.compare()
            for contender in CONTENDERS:
                await bench.quality(contender, messages, judged)


class _Bench:
    """The measurements."""

    def __init__(self, site: Site, chosen: argparse.Namespace, record: Record, work: Path) -> None:
        self._site = site
        self._chosen = chosen
        self._record = record
        self._work = work
        self._medians: dict[str, list[float]] = {}

    async def speed(self, number: int, messages: Sequence[dict[str, Any]], questions: Sequence[Judged]) -> None:
        """Add messages of one user to each contender, then ask all of them in turn what nobody has asked before."""
        rng = Random(self._chosen.seed + number)  # noqa: S311 - which questions, and in which order
        drawn = rng.sample(questions, min(self._chosen.questions, len(questions)))
        user = f"round-{number}"
        async with contextlib.AsyncExitStack() as stack:
            turns: dict[Contender, _Turns] = {}
            for contender in rng.sample(CONTENDERS, len(CONTENDERS)):
                memory = await stack.enter_async_context(
                    running(contender, self._site, self._chosen.python, self._work)
                )
                self._record.versions.update(memory.versions)
                seconds = await memory.add([{**message, "user_id": user} for message in messages])
                self._record.add(f"{contender.name}, adds until searchable", "messages/s", len(messages) / seconds)
                turns[contender] = _Turns(memory)
            for one in turns.values():
                await one.memory.search([(user, f"What about number {n}?") for n in range(_WARM_UP)], _HITS)
            for start in range(0, len(drawn), _SLICE):
                for contender in rng.sample(CONTENDERS, len(CONTENDERS)):
                    # No contender's question was asked by another, so nothing can be cached.
                    asked = [(user, f"{each.question} ({contender.name} {number})") for each in drawn[start:][:_SLICE]]
                    before = self._cpu_seconds(contender, turns[contender].memory)
                    taken, _ = await turns[contender].memory.search(asked, _HITS)
                    turns[contender].cpu_seconds += self._cpu_seconds(contender, turns[contender].memory) - before
                    turns[contender].taken += taken
        for contender in CONTENDERS:
            self._add(contender.name, turns[contender])

    def _add(self, name: str, turns: "_Turns") -> None:
        ranked = sorted(1000 * one for one in turns.taken)
        self._medians.setdefault(name, []).append(_percentile(ranked, 50))
        for percent in (50, 99):
            self._record.add(f"{name}, first-time search, p{percent}", "ms", _percentile(ranked, percent))
        self._record.add(f"{name}, CPU of all its processes per search", "ms", 1000 * turns.cpu_seconds / len(ranked))
        self._record.samples.setdefault(f"{name}, ms", []).append([round(1000 * one, 2) for one in turns.taken])

    def compare(self) -> None:
        """Record our searches' medians as shares of the reference's, round by round."""
        for ours, theirs in zip(self._medians[_OURS], self._medians[_REFERENCE], strict=True):
            name = f"{_OURS} / {_REFERENCE}, first-time search, p50"
            self._record.add(name, "ratio", ours / theirs, at_most=1.0)

    async def quality(self, contender: Contender, messages: Sequence[dict[str, Any]], judged: JudgedSet) -> None:
        """Add all messages under their own users, and ask every question that has an answer."""
        asked = [one for one in judged.questions if one.evidence]
        async with running(contender, self._site, self._chosen.python, self._work) as memory:
            await memory.add(messages)
            _, found = await memory.search([(one.user_id, one.question) for one in asked], _HITS)
        answers = [
            Judgement(one.category, [name in one.evidence for name in names], len(one.evidence))
            for one, names in zip(asked, found, strict=True)
        ]
        for rank in (5, _HITS):
            share = sum(recall(one, rank) for one in answers) / len(answers)
            self._record.add(f"{contender.name}, recall@{rank} on {judged.name}", "ratio", share)
        say(f"{contender.name}: {len(answers)} questions of {judged.name} are asked")

    def _cpu_seconds(self, contender: Contender, memory: Running) -> float:
        """Return the CPU time so far of its process, its services, and the servers that all use."""
        usage = self._site.usage()
        return memory.cpu_seconds() + sum(usage[part].cpu_seconds for part in (*_SERVERS, *contender.services))


@dataclass(slots=True)
class _Turns:
    """A contender's searches of a round."""

    memory: Running
    taken: list[float] = field(default_factory=list)
    """Seconds of each."""
    cpu_seconds: float = 0.0


def _percentile(ranked: Sequence[float], percent: int) -> float:
    return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)]


def main() -> None:
    """Run the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared_options(rounds=3, within=3600.0)],
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of a judged set")
    parser.add_argument("--messages", type=int, default=3000, help="messages of the user in question [%(default)d]")
    parser.add_argument("--questions", type=int, default=300, help="questions in each round [%(default)d]")
    parser.add_argument("--python", type=Path, default=_ENVIRONMENT, help="the peers' Python [that of `make peers`]")
    carry_out("peers", _NOT_MEASURED, measure, parser.parse_args())


if __name__ == "__main__":
    main()
