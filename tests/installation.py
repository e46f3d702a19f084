"""A Memstream of a test's own, whose parts can be started, stopped, killed and paused one by one."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import engines
import httpx
from engines import collection_name, qdrant_process, require_own
from hosts import Host
from ports import free_ports
from waiting import PATIENCE, until

from memstream.contracts.stack import Stack, StackProcess
from memstream.local.stack.data_directory import DataDirectory
from memstream.local.stack.elsewhere import Elsewhere
from memstream.local.stack.plan import FIXED_PORTS, Plan
from memstream.local.stack.process_spec import ProcessSpec
from memstream.local.stack.readiness import http_probe
from memstream.streams.connections import Redis, connect


class Installation:
    """The children of a local stack, driven by the test instead of the supervisor.

    Names: `redis`, `keys`, `qdrant`, `embeddings`, `ingest-1`, `embedder-1`, `retriever-1`, …
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own, and has a default
        self,
        folder: Path,
        *,
        model: str = "wordllama",
        embedders: int = 1,
        settings: Mapping[str, Mapping[str, str]] | None = None,
        embeddings: Sequence[str] = (),
        elsewhere: Elsewhere | None = None,
        hosts: Mapping[str, Host] | None = None,
        each: int = 1,
    ) -> None:
        """Plan it.

        `settings` are variables by the part's name, looked up whenever it starts. `embeddings` is a program with its
        arguments that takes the place of the embeddings server; it gets `--port` and answers `GET /counts`.
        `elsewhere` are servers that are used and not started, if not those of the command line. `hosts` are where parts
        run that don't run here; there may be so many ingests and retrievers, `each` on a host of its own.
        """
        directory = DataDirectory(folder)
        directory.create()
        directory.create_secrets()
        chosen = engines.chosen()
        self.plan = Plan(
            directory,
            model=model,
            ingests=each,
            embedders=embedders,
            retrievers=each,
            port_base=free_ports(FIXED_PORTS + embedders),
            elsewhere=elsewhere
            or Elsewhere(
                redis_url=chosen.redis_url, qdrant_url=chosen.qdrant_url, qdrant_api_key=chosen.qdrant_api_key
            ),
            collection="memstream" if chosen.qdrant_url is None else collection_name(),
        )
        self._children = {child.name: child for stage in self.plan.stages() for child in stage}
        if chosen.qdrant_binary is not None and "qdrant" in self._children:
            self._children["qdrant"] = self._real_qdrant(chosen.qdrant_binary)
        if embeddings:
            own = self._children["embeddings"]
            argv = (*embeddings, "--port", str(own.port))
            self._children["embeddings"] = replace(own, argv=argv, probe=http_probe("/counts"))
        self.hosts = {} if hosts is None else hosts
        for name, host in self.hosts.items():
            self._children[name] = _moved(self._children[name], host)
        self.settings = {} if settings is None else settings
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.redis: Redis = connect(self.plan.redis_url)

    def _real_qdrant(self, binary: Path) -> ProcessSpec:
        directory, own = self.plan.directory, self._children["qdrant"]
        # The port that its other protocol takes is the next one, which is the embeddings server's.
        other = {"QDRANT__SERVICE__GRPC_PORT": str(free_ports())}
        argv, variables = qdrant_process(binary, directory.qdrant, own.port, directory.secrets().qdrant_api_key)
        return replace(own, argv=argv, environment={**variables, **other})

    @property
    def info(self) -> Stack:
        """What `stack.json` would say."""
        processes = [StackProcess(name=name, pid=process.pid) for name, process in self.processes.items()]
        return self.plan.describe(self.plan.directory.keys(), processes)

    def url(self, name: str) -> str:
        """Give where a part answers."""
        if name == "qdrant":
            return self.plan.qdrant_url
        return self._children[name].url

    def log(self, name: str) -> str:
        """Give what a part has written."""
        return self.log_file(name).read_text(errors="replace")

    def log_file(self, name: str) -> Path:
        return self.plan.directory.path / f"{name}.log"

    async def start(self, *names: str, ready: bool = True) -> None:
        """Start parts, all at once, and wait until they are ready; with `ready=False` just start them."""
        own = [name for name in names if name not in engines.chosen().foreign]
        for name in own:
            await self._spawn(self._children[name])
        if ready:
            await asyncio.gather(*(self.ready(name) for name in own))

    async def _spawn(self, child: ProcessSpec) -> None:
        environment = {
            **os.environ,
            **(self.hosts[child.name].variables if child.name in self.hosts else {}),
            **child.environment,
            **self.settings.get(child.name, {}),
        }
        with self.log_file(child.name).open("ab") as output:
            self.processes[child.name] = await asyncio.create_subprocess_exec(
                *child.argv, stdout=output, stderr=output, env=environment, start_new_session=True
            )

    async def ready(self, name: str) -> None:
        """Wait until a part is ready; a part that has to succeed once is ready when it did."""
        child, process = self._children[name], self.processes[name]
        if not child.restart:
            assert await process.wait() == 0, self.log(name)
            return
        probe = child.probe
        assert probe is not None

        async def answers() -> bool:
            assert process.returncode is None, f"{name} ended: {self.log(name)}"
            return await probe(child.port) is None

        await until(answers, f"{name} is ready")

    def process(self, name: str) -> asyncio.subprocess.Process:
        """Give the process a part was last started as."""
        return self.processes[name]

    def runs(self, name: str) -> bool:
        """Say whether a part has been started and has not ended."""
        if name in engines.chosen().foreign:
            return True
        process = self.processes.get(name)
        return process is not None and process.returncode is None

    async def answers(self, name: str) -> bool:
        """Say whether a part that was started is ready."""
        child = self._children[name]
        return child.probe is not None and self.runs(name) and await child.probe(child.port) is None

    def port(self, name: str) -> int:
        """Give the port a part listens on."""
        url = {"qdrant": self.plan.elsewhere.qdrant_url, "redis": self.plan.elsewhere.redis_url}.get(name)
        if url is not None:
            return urlsplit(url).port or {"qdrant": 6333, "redis": 6379}[name]
        return self._children[name].port

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a part a signal."""
        require_own(name, "ends")
        self.processes[name].send_signal(number)

    async def kill(self, name: str) -> None:
        """End a part as a crash does."""
        self.signal(name, signal.SIGKILL)
        await self.processes[name].wait()

    async def stop(self, name: str) -> int:
        """End a part as an operator does, and give its exit code."""
        self.signal(name, signal.SIGTERM)
        return await self.ended(name)

    async def ended(self, name: str) -> int:
        """Wait until a part has ended by itself, and give its exit code."""
        async with asyncio.timeout(PATIENCE):
            return await self.processes[name].wait()

    def client(self, name: str = "", *, key: str | None = None, timeout: float = PATIENCE) -> httpx.AsyncClient:
        """Make an HTTP client of a part, with the tenant's key unless told otherwise."""
        api_key = self.info.api_key if key is None else key
        return httpx.AsyncClient(
            base_url=self.url(name), headers={"Authorization": f"Bearer {api_key}"}, timeout=timeout
        )

    def qdrant(self, *, timeout: float = PATIENCE) -> httpx.AsyncClient:
        """Make an HTTP client of Qdrant, with its key."""
        headers = {"api-key": self.plan.qdrant_api_key or ""}
        return httpx.AsyncClient(base_url=self.url("qdrant"), headers=headers, timeout=timeout)

    async def close(self) -> None:
        """End everything that runs."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in self.processes.values():
            await process.wait()
        await self.redis.aclose()


def _moved(child: ProcessSpec, host: Host) -> ProcessSpec:
    """Return the part as it runs on a host."""
    if child.name == "embeddings":
        argv, environment = [*child.argv, "--host", host.address], child.environment
        probe = http_probe("/counts", host.address)
    else:
        name = f"MEMSTREAM_{child.name.partition('-')[0].upper()}_HOST"
        argv, environment = list(child.argv), {**child.environment, name: host.address}
        probe = http_probe("/health/ready", host.address)
    url = f"http://{host.address}:{child.port}"
    return replace(child, argv=(*host.enter, *argv), environment=environment, probe=probe, url=url)


@contextlib.asynccontextmanager
async def installed(installation: Installation) -> AsyncIterator[Installation]:
    """Close an installation at the end, whatever happens."""
    try:
        yield installation
    finally:
        await installation.close()
