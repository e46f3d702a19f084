"""Where the measured parts run: their hosts, each host's share of a core, and the Qdrant that they use."""

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import httpx
import psutil

from benchmarks.hosts import Hosts
from benchmarks.premises import Premises
from benchmarks.record import Record
from benchmarks.scale.cores import Cores, missing_control, shared_cores
from benchmarks.scale.costs import Span
from benchmarks.scale.network import Link, missing, one_host, separate_hosts
from benchmarks.site import Failed, Site, Usage
from memstream.local.stack.elsewhere import Elsewhere, read_secret

_SERVICES = ("ingest", "embedder", "retriever")
_IN_MILLISECONDS = 1000.0
_DELETE_SECONDS = 60.0


@dataclass
class Grounds:
    """The hosts, and the shares of cores if there are any."""

    chosen: argparse.Namespace
    hosts: Hosts
    cores: Cores | None
    collections: list[str] = field(default_factory=list)
    """What was made in a Qdrant that runs elsewhere: one for each site."""

    @cached_property
    def usable(self) -> dict[str, float]:
        """Return the cores that one part of each kind can use: a service is one process with one thread."""
        limited = self.chosen.share or 1.0
        machine = float(psutil.cpu_count() or 1)
        return {"redis": 1.0, "qdrant": machine, "embedder": 1.0, "ingest": limited, "retriever": limited}

    def premises(self, *, ingests: int = 1, retrievers: int = 1) -> Premises:
        """Return the premises of a site with so many of the stateless services."""
        chosen, collection = self.chosen, "memstream"
        elsewhere = Elsewhere(qdrant_url=chosen.qdrant_url, qdrant_api_key=self._key)
        if chosen.qdrant_url is not None:
            collection = f"memstream-scale-{os.getpid()}-{len(self.collections)}"
            self.collections.append(collection)
        return Premises(
            self.hosts,
            ingests,
            retrievers,
            chosen.qdrant_binary,
            elsewhere,
            collection=collection,
            folder=chosen.folder,
        )

    @property
    def _key(self) -> str | None:
        return read_secret("--qdrant-api-key-file", self.chosen.qdrant_api_key_file)

    def clean_up(self) -> None:
        """Delete what was made in a Qdrant that runs elsewhere."""
        for name in self.collections:
            url, headers = f"{self.chosen.qdrant_url.rstrip('/')}/collections/{name}", {"api-key": self._key or ""}
            httpx.delete(url, headers=headers, timeout=_DELETE_SECONDS).raise_for_status()

    async def start(self, site: Site, *names: str) -> None:
        """Start parts; ingests and retrievers get their share of a core."""
        present = [name for name in names if name != "qdrant" or self.chosen.qdrant_url is None]
        await site.start(*present)
        for name in present:
            if self.cores is not None and name.startswith(("ingest-", "retriever-")):
                self.cores.hold(name, site.process(name))


@contextlib.contextmanager
def prepared(chosen: argparse.Namespace, record: Record, most: Mapping[str, int]) -> Iterator[Grounds]:
    """Prepare hosts for the servers and for so many of each service, and remove them at the end.

    Raises:
        Failed: something is missing.

    """
    names = ["redis", "qdrant", "provider", *(f"{kind}-{n + 1}" for kind in _SERVICES for n in range(most[kind]))]
    lacking = (None if chosen.one_host else missing()) or (missing_control() if chosen.share else None)
    if lacking is not None:
        raise Failed(lacking)
    with contextlib.ExitStack() as ending:
        cores = ending.enter_context(shared_cores(chosen.share)) if chosen.share else None
        if chosen.one_host:
            hosts = one_host(names)
        else:
            link = Link(chosen.bandwidth, chosen.network_latency / _IN_MILLISECONDS / 2)
            network = ending.enter_context(separate_hosts(names, link))
            hosts = network.hosts
            if not network.has_latency:
                record.not_measured = [
                    "the latency of a network: this kernel delays no packets (it has no sch_netem)",
                    *record.not_measured,
                ]
        grounds = Grounds(chosen, hosts, cores)
        ending.callback(grounds.clean_up)
        yield grounds


def span_between(before: Mapping[str, Usage], after: Mapping[str, Usage], done: int, seconds: float) -> Span:
    """Return what was done between two readings; the simulated provider is not counted."""
    parts = [name for name in after if name != "provider"]
    return Span(
        seconds,
        done,
        {name: after[name].cpu_seconds - before[name].cpu_seconds for name in parts},
        {name: after[name].resident_bytes for name in parts},
    )
