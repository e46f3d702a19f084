"""Measures how Memstream grows: 1, 2 and 4 embedders, 1 and 2 ingests, 1 and 2 retrievers, each on a host of its own.

    python -m benchmarks.scale --qdrant-binary FILE [--parts embedders ingests retrievers] [--rounds 3] [--json FILE]

Hosts are network namespaces of this machine, joined by a bridge, whose links have a bandwidth and, where the kernel can
delay packets, a latency. They are made and removed by the benchmark, which takes root; `--one-host` does without.

The hosts share the cores of this machine. So what is measured must not need all of them:
- embedders wait for a provider that takes its time, and have a fixed number of calls at once;
- ingests and retrievers get a share of a core each, and are asked for as much as they can do with it. Callers, Redis
  and Qdrant have the rest.

With each throughput comes what every part spent for a million messages or searches, which hardly depends on other load;
how busy the busiest part of each kind was; and at which rate Redis and Qdrant would be full, which no further service
changes.
"""

import argparse
from pathlib import Path

from benchmarks.command import carry_out, shared_options
from benchmarks.record import Record
from benchmarks.scale.grounds import prepared
from benchmarks.scale.ingests import measure_ingests
from benchmarks.scale.retrievers import measure_retrievers
from benchmarks.scale.workers import measure_workers

_PARTS = {"embedders": measure_workers, "ingests": measure_ingests, "retrievers": measure_retrievers}
_NOT_MEASURED = [
    "machines of their own: the hosts share the cores, the memory and the disk of one",
    "TLS; several partitions; clusters of Redis and Qdrant",
    "messages of different lengths, and long ones: each is one chunk",
]


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Measure the chosen parts, one after the other."""
    most = {"ingest": max(chosen.ingests), "embedder": max(chosen.workers), "retriever": max(chosen.retrievers)}
    with prepared(chosen, record, most) as grounds:
        for part in chosen.parts:
            await _PARTS[part](chosen, record, grounds)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__.split("\n\n")[0],
        parents=[shared_options(rounds=3, within=3600.0)],
    )
    made.add_argument("--parts", nargs="+", choices=list(_PARTS), default=list(_PARTS), metavar="PART")
    made.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="numbers of embedders [1 2 4]")
    made.add_argument("--ingests", type=int, nargs="+", default=[1, 2], help="numbers of ingests [1 2]")
    made.add_argument("--retrievers", type=int, nargs="+", default=[1, 2], help="numbers of retrievers [1 2]")
    servers = made.add_mutually_exclusive_group()
    servers.add_argument("--qdrant-binary", type=Path, metavar="FILE", help="a Qdrant server to start")
    servers.add_argument("--qdrant-url", metavar="URL", help="a Qdrant that runs; only with --one-host")
    made.add_argument("--qdrant-api-key-file", type=Path, metavar="FILE", help="the API key of that Qdrant")
    hosts = made.add_argument_group("hosts")
    hosts.add_argument("--one-host", action="store_true", help="all parts on loopback: takes no root")
    hosts.add_argument("--bandwidth", default="1gbit", help="of each link, as tc writes it [%(default)s]")
    hosts.add_argument("--network-latency", type=float, default=0.5, metavar="MS", help="there and back [%(default)g]")
    hosts.add_argument(
        "--share", type=float, default=0.2, help="of a core, for an ingest or a retriever; 0: no limit [%(default)g]"
    )
    made.add_argument("--folder", type=Path, help="folder for the data, which is removed at the end")
    load = made.add_argument_group("load")
    load.add_argument(
        "--provider-latency", type=float, default=1.0, help="seconds an embedder's call takes [%(default)g]"
    )
    load.add_argument(
        "--query-latency", type=float, default=0.05, help="seconds a retriever's call takes [%(default)g]"
    )
    load.add_argument("--slots", type=int, default=8, help="concurrent calls of an embedder [%(default)d]")
    load.add_argument("--batch-texts", type=int, default=16, help="texts a call [%(default)d]")
    load.add_argument("--dimensions", type=int, default=384)
    load.add_argument("--users", type=int, default=10, help="users who are asked for [%(default)d]")
    load.add_argument("--messages", type=int, default=250, help="messages of each of them [%(default)d]")
    load.add_argument("--warm-up", type=float, default=6.0, help="seconds that don't count [%(default)g]")
    load.add_argument("--seconds", type=float, default=15.0, help="seconds that count [%(default)g]")
    return made


def options(words: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line; ends the process if they don't fit together."""
    made = parser()
    chosen = made.parse_args(words)
    if chosen.qdrant_url is not None and not chosen.one_host:
        made.error("--qdrant-url: only with --one-host, since hosts of their own reach nothing else")
    if chosen.qdrant_binary is not None:
        chosen.qdrant_binary = chosen.qdrant_binary.absolute()
        if not chosen.qdrant_binary.is_file():
            made.error(f"--qdrant-binary: there is no file {chosen.qdrant_binary}")
    return chosen


if __name__ == "__main__":
    carry_out("scale", _NOT_MEASURED, measure, options())
