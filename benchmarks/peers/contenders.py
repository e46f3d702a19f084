"""The contenders: how each is started, and what it is told."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.retriever.asking import space_of
from benchmarks.site import Failed, Site
from memstream.local.stack.process import clean_environment

_ROOT = Path(__file__).parents[2]
_LONGEST_LINE = 2**28
"""Bytes: all messages of a set are one order."""
_SERVICES = ("ingest-1", "embedder-1", "retriever-1")


@dataclass(frozen=True, slots=True)
class Contender:
    """A memory to compare, in a process of its own."""

    name: str
    module: str
    arguments: Callable[[Site], Sequence[str]]
    environment: Callable[[Site], Mapping[str, str]]
    services: Sequence[str] = ()
    """Parts of the site that run with it alone. Without any, it is a library in the peers' own environment."""


def _embeddings(site: Site) -> tuple[str, str]:
    return site.plan.embeddings_url, space_of(site.plan.model).model


def _keys(site: Site) -> dict[str, str]:
    return {"OPENAI_API_KEY": site.secrets.embeddings_api_key, "QDRANT_API_KEY": site.secrets.qdrant_api_key}


CONTENDERS = (
    Contender(
        "Memstream",
        "benchmarks.peers.memstream_contender",
        lambda site: (site.plan.ingest_url, site.plan.retriever_url),
        lambda site: {"MEMSTREAM_API_KEY": site.keys.api_key},
        _SERVICES,
    ),
    Contender(
        "mem0",
        "benchmarks.peers.mem0_contender",
        lambda site: (site.plan.qdrant_url, *_embeddings(site), str(space_of(site.plan.model).dimensions)),
        lambda site: {**_keys(site), "MEM0_TELEMETRY": "False"},
    ),
    Contender(
        "Chroma",
        "benchmarks.peers.chroma_contender",
        _embeddings,
        lambda site: {**_keys(site), "ANONYMIZED_TELEMETRY": "False"},
    ),
)


@dataclass(slots=True)
class Running:
    """A contender that runs."""

    process: asyncio.subprocess.Process
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of what is compared, by package."""

    async def add(self, messages: Sequence[Mapping[str, Any]]) -> float:
        """Return the seconds until all messages are searchable."""
        return float((await self._order({"messages": messages}))["seconds"])

    async def search(
        self, questions: Sequence[tuple[str, str]], limit: int
    ) -> tuple[Sequence[float], Sequence[Sequence[str]]]:
        """Return the seconds that each question of a user took, and the ids of its hits."""
        answer = await self._order({"questions": questions, "limit": limit})
        return answer["seconds"], answer["found"]

    async def _order(self, order: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        if self.process.stdin is None:
            raise Failed("a contender takes no orders")
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.process.stdin.drain()
        return await self.read()

    async def read(self) -> Any:  # noqa: ANN401 - JSON
        """Return its next answer.

        Raises:
            Failed: it has ended; why stands on stderr.

        """
        line = await self.process.stdout.readline() if self.process.stdout else b""
        if not line:
            raise Failed("a contender has ended")
        return json.loads(line)

    def cpu_seconds(self) -> float:
        """Return the CPU time of its process so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system


@contextlib.asynccontextmanager
async def running(contender: Contender, site: Site, python: Path, work: Path) -> AsyncIterator[Running]:
    """Run a contender in new processes; its files are in a folder within `work`.

    Raises:
        Failed: it does not start.

    """
    interpreter = Path(sys.executable) if contender.services else python
    if not interpreter.exists():
        raise Failed(f"{interpreter} is missing: `make peers` makes the peers' environment")
    if contender.services:
        await site.start(*contender.services)
    environment = {**clean_environment(os.environ), **contender.environment(site)}
    process = await asyncio.create_subprocess_exec(
        *(str(interpreter), "-m", contender.module, *contender.arguments(site)),
        cwd=_ROOT,
        env={**environment, "PYTHONPATH": str(_ROOT), "TMPDIR": str(work)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    try:
        memory = Running(process)
        memory.versions = (await memory.read())["versions"]
        yield memory
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        for name in contender.services:
            await site.kill(name)
