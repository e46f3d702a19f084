"""An installation on several hosts, which are cut off, lose their disk or their time, and are restarted."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import redis.exceptions
from clocks import HostClock, missing_for_clocks, remove_leftovers
from disks import Disk, missing_for_disks, mounted
from hosts import Host
from machines import estate
from machines.estate import Estate, RedisKind
from ports import range_number
from qdrant_cluster import Node
from redis_servers import Server
from reliability import machine_faults
from reliability.faults import CLAIM_IDLE
from reliability.history import Ended
from reliability.machine_faults import (
    ClockStep,
    DiskFull,
    HostCutOff,
    MachineFault,
    RollingRestart,
    ServerLost,
    SlowDisk,
)
from reliability.site import Site
from waiting import until

_SERVICES = ("ingest-1", "ingest-2", "embedder-1", "embedder-2", "retriever-1", "retriever-2")
_DISKS = {"redis": 256, "qdrant": 1024}
"""In MB. What is not written takes nothing."""
_DOWN_AFTER_MS = 1_000
_HEALED_SECONDS = 3.0
_SHORT = {
    "embedder": {
        "CLAIM_IDLE": f"{CLAIM_IDLE:g}",
        "TRIM_PERIOD": "0.2",
        "REPLAY_WINDOW": "1",
        "SHARD_NUMBER": "2",
    }
}


class MachineSite(Site):
    """All parts, on hosts, and a keeper."""

    # By default one node answers, and one that is cut off may not have heard of what the others have.
    consistency = "quorum"

    def __init__(self, running: Estate, disks: dict[str, Disk], clocks: dict[str, HostClock]) -> None:
        super().__init__(running.parts, {}, running.settings, (*_SERVICES, "embeddings"))
        self._estate = running
        self._disks = disks
        self._clocks = clocks
        self._held_servers: Counter[Path] = Counter()
        self._turn = asyncio.Lock()

    @property
    def _servers(self) -> list[Server | Node]:
        redis = self._estate.redis
        return [*redis.nodes, *redis.sentinels, *self._estate.qdrant.nodes]

    async def _look(self) -> None:
        await super()._look()
        for server in self._servers:
            if server.exit_code is not None and not self._held_servers[server.folder]:
                if server.exit_code not in {-signal.SIGKILL, 0}:
                    self.history.add(Ended(f"{server.folder.name} on {server.host.name}", server.exit_code))
                await server.spawn()

    def client(self, service: str, *, timeout: float) -> httpx.AsyncClient:
        """Make a client of a service, through the proxy."""
        headers = {"Authorization": f"Bearer {self.parts.info.api_key}"}
        return httpx.AsyncClient(base_url=self._estate.urls[service], headers=headers, timeout=timeout)

    def logs(self) -> Iterator[tuple[str, Path]]:
        """List the files that parts and servers have written, each with a name of its own."""
        yield from super().logs()
        for server in self._servers:
            for log in (server.folder / "log", server.folder / "qdrant.log"):
                if log.exists():
                    yield f"{server.host.name}-{server.folder.name}.log", log

    async def mend(self) -> None:
        """Undo whatever lasts, and wait until every server and every part is whole."""
        for host in self._estate.hosts.values():
            await host.join()
        for disk in self._disks.values():
            disk.make_room()
            disk.speed_up()
        for clock in self._clocks.values():
            clock.set(0.0)
        for server in self._servers:
            await until(server.answers, f"{server.folder} answers")
        await until(self._redis_is_whole, "every primary of Redis has its replicas")
        # What a node has missed is copied to it, which takes its time beside all else.
        with contextlib.suppress(AssertionError):
            await self._qdrant_has_healed()
        await self._qdrant_has_healed()
        await super().mend()

    async def _qdrant_has_healed(self) -> None:
        """Wait until all copies have been active for some time: that one has missed something may be found out late."""
        loop = asyncio.get_running_loop()
        since = loop.time()

        async def stays_healed() -> bool:
            nonlocal since
            if not await self._estate.qdrant.has_healed(self.parts.plan.collection):
                since = loop.time()
            return loop.time() > since + _HEALED_SECONDS

        await until(stays_healed, "every copy in Qdrant is active")

    async def _redis_is_whole(self) -> bool:
        nodes, primaries = self._estate.redis.nodes, await self._estate.redis.primaries()
        followers = 0
        for primary in primaries:
            with contextlib.suppress(redis.exceptions.RedisError):
                role, _, following, *_ = await primary.ask("ROLE")
                # Between two questions it may have become a replica.
                followers += len(following) if role == b"master" else 0
        return followers == len(nodes) - len(primaries) and len(primaries) == len(nodes) // 3

    async def strike(self, fault: MachineFault) -> None:
        """Do to a host what a fault says, and undo it.

        One after the other: what is accepted is on the primary's disk and on that of one replica of two, so it outlasts
        the loss of one server, and not of two.
        """
        async with self._turn:
            await until(self._redis_is_whole, "every primary of Redis has its replicas")
            await self._strike(fault)

    async def _strike(self, fault: MachineFault) -> None:
        match fault:
            case ServerLost():
                server = await self._server(fault.server)
                async with self._held(server):
                    await server.kill()
                    await asyncio.sleep(fault.down)  # the fault: for so long nobody starts it again
            case HostCutOff():
                host = await self._host(fault.place)
                await host.cut_off(fault.direction)
                await asyncio.sleep(fault.seconds)  # the fault: it lasts so long
                await host.join()
            case ClockStep():
                clock = self._clocks[(await self._host(fault.place)).name]
                clock.set(fault.ahead)
                await asyncio.sleep(fault.seconds)  # the fault: it lasts so long
                clock.set(0.0)
            case DiskFull():
                disk = self._disks[(await self._server(fault.server)).host.name]
                disk.fill()
                await asyncio.sleep(fault.seconds)  # the fault: it lasts so long
                disk.make_room()
            case SlowDisk():
                disk = self._disks[(await self._server(fault.server)).host.name]
                disk.slow_down(fault.writes)
                await asyncio.sleep(fault.seconds)  # the fault: it lasts so long
                disk.speed_up()
            case RollingRestart():
                await (self._restart_services() if fault.of == "services" else self._restart_servers())

    async def _host(self, place: machine_faults.Place) -> Host:
        if place in machine_faults.SERVERS:
            return (await self._server(place)).host
        return self._estate.hosts[place]

    async def _server(self, role: machine_faults.Place) -> Server | Node:
        """Return the server that has this role now; one that may have it, where nobody can tell."""
        if role.startswith("qdrant"):
            try:
                leader = await self._estate.qdrant.orders_writes()
            except httpx.HTTPError:
                leader = self._estate.qdrant.nodes[0]
            others = (node for node in self._estate.qdrant.nodes if node is not leader)
            return leader if role == "qdrant leader" else next(others)
        primaries = await self._estate.redis.primaries() or self._estate.redis.nodes[:1]
        replicas = (node for node in self._estate.redis.nodes if node not in primaries)
        return primaries[0] if role == "redis primary" else next(replicas, primaries[0])

    @contextlib.asynccontextmanager
    async def _held(self, server: Server | Node) -> AsyncIterator[None]:
        """Don't start a server that has ended."""
        self._held_servers[server.folder] += 1
        try:
            yield
        finally:
            self._held_servers[server.folder] -= 1

    async def _restart_services(self) -> None:
        """Restart one after the other, as an operator does, who waits until each is back."""
        for part in _SERVICES:
            if self.parts.runs(part):
                await self.parts.stop(part)
            await until(partial(self.parts.answers, part), f"{part} is ready")

    async def _restart_servers(self) -> None:
        """Do the same with Redis, Sentinels and Qdrant."""
        for server in self._servers:
            if server.exit_code is None:
                await server.stop()
            await until(server.answers, f"{server.folder} answers")
            await until(self._redis_is_whole, "every primary of Redis has its replicas")
            await self._qdrant_has_healed()


def missing() -> str | None:
    """Name what it takes and isn't there; None if nothing is missing."""
    return estate.missing() or missing_for_disks() or missing_for_clocks()


@contextlib.asynccontextmanager
async def running(binary: Path, kind: RedisKind, folder: Path) -> AsyncIterator[MachineSite]:
    """Run a site with three nodes of Qdrant, a Redis of this kind, and two of each service."""
    disks: dict[str, Disk] = {}
    clocks: dict[str, HostClock] = {}

    @contextlib.asynccontextmanager
    async def fitted(hosts: dict[str, Host], folder: Path) -> AsyncIterator[dict[str, Host]]:
        async with contextlib.AsyncExitStack() as opened:
            for name, host in hosts.items():
                sort = name.partition("-")[0]
                enter, variables = host.enter, host.variables
                if sort in _DISKS:
                    mounting = mounted(folder / sort / name, f"ms-test-{range_number()}-{name}", _DISKS[sort])
                    disks[name] = await opened.enter_async_context(mounting)
                    enter = (*enter, *disks[name].enter)
                if sort in {"redis", "service"}:
                    clocks[name] = HostClock(folder / f"{name}.clock")
                    variables = clocks[name].variables
                hosts[name] = replace(host, enter=enter, variables=variables)
            yield hosts

    try:
        async with estate.running(
            binary, folder, redis=kind, partitions=1, down_after_ms=_DOWN_AFTER_MS, settings=_SHORT, fitted=fitted
        ) as started:
            site = MachineSite(started, disks, clocks)
            keeping = asyncio.create_task(site.keep())
            try:
                yield site
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
    finally:
        remove_leftovers()
