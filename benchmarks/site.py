"""The processes of a Memstream on this machine, with a simulated provider: started, stopped and measured by name."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import psutil

from benchmarks.premises import LOCAL, Premises, Provider, adjusted, planned
from memstream.local.stack.data_directory import DataDirectory, Keys, ServerSecrets
from memstream.local.stack.plan import FIXED_PORTS, Plan
from memstream.local.stack.ports import free_base
from memstream.local.stack.process import Process, clean_environment
from memstream.runtime.clock import SystemClock
from memstream.streams.connections import Redis, connect

_ROOT = Path(__file__).parents[1]
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0
_LOG_LINES = 20
_SLOTS = "memstream_embedder_concurrency"


class Failed(Exception):
    """A benchmark has no figures. The text says why."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of a process: its CPU seconds so far, in user and system mode, and its resident bytes now."""

    cpu_seconds: float
    resident_bytes: int


class Site:
    """Parts by their names.

    These are `redis`, `keys`, `qdrant`, `provider` or `embeddings`, `ingest-1`, `retriever-1`, `embedder-1`,
    `embedder-2` and so on.
    They write to their own folder, and end when this process ends, whatever the reason.
    """

    def __init__(  # noqa: PLR0913 - named arguments, set in one place
        self,
        home: DataDirectory,
        lock: int,
        provider: Provider | None,
        *,
        workers: int,
        settings: Mapping[str, object],
        retriever: Mapping[str, object],
        first_port: int,
        premises: Premises,
    ) -> None:
        self._home = home
        self._lock = lock
        self.plan = Plan(
            home,
            premises.model,
            ingests=premises.ingests,
            embedders=workers,
            retrievers=premises.retrievers,
            port_base=free_base(FIXED_PORTS + workers + 1, first=first_port),
            elsewhere=premises.elsewhere,
            collection=premises.collection,
        )
        self.workers = [f"embedder-{number + 1}" for number in range(workers)]
        named = {"embedder": settings, "retriever": retriever}
        self._specs = planned(self.plan, provider, named, premises.qdrant_binary)
        self._hosts = premises.hosts
        self._children = self._hosts.place(self._specs, self.secrets.redis_password)
        self._processes: dict[str, Process] = {}
        self.redis: Redis = connect(self.reach(self.plan.redis_url), timeout=30.0)

    def reach(self, url: str) -> str:
        """Return where a part of the plan listens, given its URL in the plan."""
        return self._hosts.reach(url, self._specs)

    @property
    def folder(self) -> Path:
        """The folder of its data, with `redis` and `qdrant` in it."""
        return self._home.path

    @property
    def keys(self) -> Keys:
        """The keys, once the part `keys` has ended."""
        return self._home.keys()

    @property
    def secrets(self) -> ServerSecrets:
        """The keys of Qdrant and the embeddings server."""
        return self._home.secrets()

    @property
    def running(self) -> list[str]:
        """The names of the parts that run."""
        return [name for name, process in self._processes.items() if process.exit_code is None]

    async def start(self, *names: str) -> None:
        """Start parts, and wait until each is ready, or, if it has to succeed once, has succeeded.

        Raises:
            Failed: one ended or was not ready in time; the text has the end of its log.

        """
        environment = clean_environment(os.environ)
        for name in names:
            self._processes[name] = await Process.spawn(
                self._children[name], environment=environment, log=self._home.log_of(name), lock=self._lock
            )
        await asyncio.gather(*(self._ready(name) for name in names))

    async def _ready(self, name: str) -> None:
        child, process = self._children[name], self._processes[name]
        why: str | None = "it has no probe"
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while process.exit_code is None:
                    why = await child.probe(child.port) if child.probe else why
                    if why is None:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Failed(f"{name} is not ready after {_READY_SECONDS:g} s: {why}\n{self.log(name)}") from None
        if child.restart or process.exit_code != 0:
            raise Failed(f"{name} ended with {process.exit_code}\n{self.log(name)}")

    def log(self, name: str) -> str:
        """Return the end of a part's log."""
        file = self._home.log_of(name)
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
        return "\n".join(lines[-_LOG_LINES:])

    def require_alive(self) -> None:
        """Check that every part that was started still runs.

        Raises:
            Failed: one has ended.

        """
        for name, process in self._processes.items():
            if self._children[name].restart and process.exit_code is not None:
                raise Failed(f"{name} ended with {process.exit_code}\n{self.log(name)}")

    def reset(self, name: str, **settings: object) -> None:
        """Change settings of a part, for its next start."""
        part = name.partition("-")[0]
        self._children[name] = adjusted(self._children[name], None, {part: settings})

    def add(self, name: str, like: str, port: int, *argv: str) -> None:
        """Add a part that runs another program of this repository, with the settings of an existing part."""
        child = adjusted(self._children[like], None, {like.partition("-")[0]: {"port": port}})
        environment = {**child.environment, "PYTHONPATH": str(_ROOT)}
        url = f"http://127.0.0.1:{port}"
        self._children[name] = replace(child, name=name, argv=argv, environment=environment, port=port, url=url)

    def url_of(self, name: str) -> str:
        """Return where a part listens."""
        return self._children[name].url

    def process(self, name: str) -> int:
        """Return the id of a running part's process."""
        return self._processes[name].pid

    async def kill(self, name: str) -> None:
        """Kill a part, like a crash."""
        process = self._processes.pop(name)
        process.kill()
        await process.wait()

    def usage(self) -> dict[str, Usage]:
        """Return the cost of each running part so far."""
        found = {}
        for name in self.running:
            process = psutil.Process(self._processes[name].pid)
            with process.oneshot():
                times = process.cpu_times()
                found[name] = Usage(times.user + times.system, process.memory_info().rss)
        return found

    async def refused(self) -> int:
        """Return how many calls the provider has refused so far."""
        return int((await self._get(self.reach(self.plan.embeddings_url).removesuffix("/v1") + "/counts"))["refused"])

    async def metrics(self, name: str) -> dict[str, float]:
        """Return the metrics of a part that have no labels, by name."""
        async with httpx.AsyncClient(timeout=30) as http:
            text = (await http.get(f"{self._children[name].url}/metrics")).raise_for_status().text
        lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
        return {words[0]: float(words[1]) for words in lines if "{" not in words[0]}

    async def slots(self) -> list[int]:
        """Return each worker's current maximum of concurrent calls to the provider."""
        return [int((await self.metrics(name)).get(_SLOTS, 0.0)) for name in self.workers]

    async def script(self, **orders: object) -> None:
        """Change the provider's behaviour."""
        async with httpx.AsyncClient(timeout=30) as http:
            url = self.reach(self.plan.embeddings_url).removesuffix("/v1") + "/script"
            (await http.post(url, json=orders)).raise_for_status()

    async def points(self) -> int:
        """Count the stored points."""
        url, headers = self.reach(self.plan.qdrant_url), {"api-key": self.plan.qdrant_api_key or ""}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120) as http:
            answer = await http.post(f"/collections/{self.plan.collection}/points/count", json={"exact": True})
            return int(answer.raise_for_status().json()["result"]["count"])

    async def _get(self, url: str) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=30) as http:
            answer: dict[str, Any] = (await http.get(url)).raise_for_status().json()
            return answer

    async def close(self) -> None:
        """Stop everything, in reverse order."""
        for name in reversed(list(self._processes)):
            await self._processes[name].stop(_STOP_SECONDS if name in self.workers else 5.0)
        await self.redis.aclose()


@contextlib.asynccontextmanager
async def opened(
    provider: Provider | None,
    *,
    workers: int = 1,
    first_port: int,
    retriever: Mapping[str, object] = MappingProxyType({}),
    premises: Premises = LOCAL,
    **settings: object,
) -> AsyncIterator[Site]:
    """Open a site with new, empty servers; no part runs yet. `settings` are those of the embedders.

    Without a simulated provider it has the stack's own embeddings server, the part `embeddings`.
    """
    with tempfile.TemporaryDirectory(
        prefix="memstream-bench-", ignore_cleanup_errors=True, dir=premises.folder
    ) as folder:
        home = DataDirectory(Path(folder))
        home.create()
        home.create_secrets()
        async with home.locked(SystemClock()) as lock:
            site = Site(
                home,
                lock,
                provider,
                workers=workers,
                settings=settings,
                retriever=retriever,
                first_port=first_port,
                premises=premises,
            )
            try:
                yield site
            finally:
                closing = asyncio.create_task(site.close())
                while not closing.done():
                    # Cancelling again doesn't shorten this: no process may be left behind.
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.shield(closing)
