"""An installation that is disturbed: every way between its parts is a link, and whatever ends is started again."""

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path

import httpx
from installation import Installation, installed
from reliability.faults import CLAIM_IDLE, LINKS, PARTS
from reliability.history import Ended, History
from reliability.links import Link
from reliability.machine_faults import MachineFault
from reliability.operations import POISON
from waiting import PATIENCE, until

from memstream.contracts import keys
from memstream.local.stack.plan import Plan
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import Unavailable
from memstream.streams.backlog import backlog
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import without_retention
from memstream.vectors.store.qdrant import QdrantStore
from memstream.vectors.store.qdrant.keyword_spaces import ENGLISH

OLD_WORKER = "embedder-2"
_TESTS = Path(__file__).parents[1]
_DIMENSIONS = 32
_LOOK_SECONDS = 0.05
_PAUSE_AFTER_END = 0.3
_STILL = 2
"""Times in a row that nothing must be waiting: what was held up on the way may come late."""


class Site:
    """All parts, the links between them, and a keeper."""

    consistency: str | None = None
    """Of what is read from Qdrant to judge a run, where several nodes may not have heard the same."""

    def __init__(
        self,
        parts: Installation,
        links: dict[str, Link],
        settings: dict[str, dict[str, str]],
        names: Sequence[str] = PARTS,
    ) -> None:
        """Take over what runs; `names` are the parts that are started again when they have ended."""
        self.parts = parts
        self._names = names
        self.links = links
        self.history = History()
        """Of the run that is in progress."""
        self.old_path: str | None = None
        """PYTHONPATH of the previous release."""
        self._settings = settings
        self._held_down: Counter[str] = Counter()

    async def keep(self) -> None:
        """Start parts again that have ended, as a supervisor does."""
        while True:
            await self._look()
            await asyncio.sleep(_LOOK_SECONDS)  # a supervisor looks from time to time

    async def _look(self) -> None:
        for part in self._names:
            if not self.parts.runs(part) and not self._held_down[part]:
                await self._start_again(part)

    async def _start_again(self, part: str) -> None:
        code = self.parts.process(part).returncode
        if code not in {-signal.SIGKILL, 0}:
            self.history.add(Ended(part, -1 if code is None else code))
            await asyncio.sleep(_PAUSE_AFTER_END)  # a supervisor waits before it starts what failed
        await self.parts.start(part, ready=False)

    async def strike(self, fault: MachineFault) -> None:
        """Do to a host what a fault says, and undo it."""
        raise AssertionError(f"here are no hosts for this: {fault.name}")

    def client(self, service: str, *, timeout: float) -> httpx.AsyncClient:
        """Make a client of a service."""
        return self.parts.client(f"{service}-1", timeout=timeout)

    def logs(self) -> Iterator[tuple[str, Path]]:
        """List the files that parts have written, each with a name of its own."""
        for log in self.parts.plan.directory.path.glob("*.log"):
            yield log.name, log

    def hold_down(self, part: str) -> None:
        """Don't start a part that has ended, until it is let up as often."""
        self._held_down[part] += 1

    def let_up(self, part: str) -> None:
        """Start a part again that has ended."""
        self._held_down[part] -= 1

    def use_release(self, python_path: str | None) -> None:
        """Let the worker that may be old be one of an older release from its next start on, or of this one."""
        settings = self._settings[OLD_WORKER]
        settings.pop("PYTHONPATH", None)
        if python_path is not None:
            settings["PYTHONPATH"] = python_path

    async def script(self, **orders: object) -> None:
        """Change what the provider does; one that is down comes back without faults anyway."""
        with contextlib.suppress(httpx.TransportError):
            async with httpx.AsyncClient(timeout=5) as client:
                url = f"http://127.0.0.1:{self.parts.port('embeddings')}/script"
                (await client.post(url, json=orders)).raise_for_status()

    async def mend(self) -> None:
        """Undo whatever lasts, and wait until every part is ready."""
        for link in self.links.values():
            link.mend()
        for part in self._names:
            await until(partial(self.parts.answers, part), f"{part} is ready")
        await self.script(mend=True)

    async def worked_off(self) -> None:
        """Wait until no entry waits."""
        still = 0

        async def nothing_waits() -> bool:
            nonlocal still
            try:
                waiting = sum([await backlog(self.parts.redis, keys.stream(0, lane)) for lane in keys.LANES])
            except Unavailable:
                waiting = -1
            still = still + 1 if waiting == 0 else 0
            return still >= _STILL

        try:
            await until(nothing_waits, "the backlog is worked off")
        except AssertionError as error:
            raise AssertionError(f"{error}; {await self._what_waits()}") from error

    async def _what_waits(self) -> str:
        """Return what Redis says of the entries that are not done."""
        found = []
        for lane in keys.LANES:
            stream = keys.stream(0, lane)
            pending = await self.parts.redis.xpending_range(stream, keys.GROUP, min="-", max="+", count=5)
            found.append(f"{lane}: {await self.parts.redis.xinfo_groups(stream)}, the first pending {pending}")
        return "; ".join(found)


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Site]:
    """Run a site with two embedders and the simulated provider."""
    settings: dict[str, dict[str, str]] = {}
    program = (sys.executable, "-m", "provider", "--dimensions", str(_DIMENSIONS), "--poison", POISON)
    parts = Installation(folder, embedders=2, settings=settings, embeddings=program)
    links = {link.name: link for link in (Link(client, server, parts.port(server)) for client, server in LINKS)}
    async with installed(parts), contextlib.AsyncExitStack() as opened:
        for link in links.values():
            await link.open()
            opened.push_async_callback(link.close)
        settings.update(_settings(links, parts.plan.redis_url))
        await parts.start("redis")
        await parts.start("keys", "qdrant", "embeddings")
        await _create_old_collection(parts.plan)
        await parts.start("ingest-1", "embedder-1", "embedder-2", "retriever-1")
        site = Site(parts, links, settings)
        keeping = asyncio.create_task(site.keep())
        try:
            yield site
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


async def _create_old_collection(plan: Plan) -> None:
    """Create the collection as the last release did: where releases run side by side, it is older than the new one."""
    space = EmbeddingSpace("simulated", _DIMENSIONS)
    store = QdrantStore(
        space,
        url=plan.qdrant_url,
        api_key=plan.qdrant_api_key,
        collection=plan.collection,
        timeout=PATIENCE,
        keywords=ENGLISH,
        expiry=without_retention(SystemClock().now),
    )
    await store.ensure()
    await store.aclose()


def _settings(links: dict[str, Link], redis_url: str) -> dict[str, dict[str, str]]:
    """Lead every part through its links, and give it short spans of time."""
    settings: dict[str, dict[str, str]] = {"embeddings": {"PYTHONPATH": str(_TESTS)}}
    for link in links.values():
        service = link.client.partition("-")[0]
        url = f"http://127.0.0.1:{link.port}"
        if link.server == "redis":
            url = f"{redis_url.rpartition(':')[0]}:{link.port}/0"
        url += "/v1" if link.server == "embeddings" else ""
        prefix = f"MEMSTREAM_{service.upper()}"
        settings.setdefault(link.client, {})[f"{prefix}_{link.server.upper()}_URL"] = url
        if service != "ingest":
            settings[link.client] |= {
                f"{prefix}_EMBEDDINGS_MODEL": "simulated",
                f"{prefix}_EMBEDDINGS_DIMENSIONS": str(_DIMENSIONS),
                f"{prefix}_EMBEDDINGS_TIMEOUT": "2",
                f"{prefix}_QDRANT_TIMEOUT": "2",
            }
        if service == "embedder":
            settings[link.client] |= {
                f"{prefix}_CLAIM_IDLE": f"{CLAIM_IDLE:g}",
                f"{prefix}_TRIM_PERIOD": "0.2",
                f"{prefix}_REPLAY_WINDOW": "1",
            }
    return settings
