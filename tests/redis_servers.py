"""Redis servers of a test's own: a primary that Sentinel watches, and a cluster. Both fail over quickly."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import redis.exceptions
from hosts import HERE, Host
from ports import free_ports
from waiting import until

from memstream.local.stack.valkey import server_binary
from memstream.streams.connections import Redis, connect

PASSWORD = "secret/of:all"  # noqa: S105 - of servers that live as long as a test
URL_PASSWORD = "secret%2Fof%3Aall"  # noqa: S105 - the same
PRIMARY = "memstream"

_SLOTS = 16_384
_DOWN_AFTER_MS = 1_000
"""After so long without an answer, a server counts as down."""


class Server:
    """One server, which a test may kill, pause and start again."""

    def __init__(self, folder: Path, name: str, *options: str, mode: Sequence[str] = (), host: Host = HERE) -> None:
        self.host = host
        self.port = free_ports()
        self.folder = folder / host.name / name
        self.folder.mkdir(parents=True)
        self.url = f"redis://:{URL_PASSWORD}@{host.address}:{self.port}/0"
        self._config = self.folder / "server.conf"
        self._config.write_text(
            f"bind {host.address}\nport {self.port}\ndir {self.folder}\n" + "\n".join(options) + "\n"
        )
        self._mode = mode
        self.runs = False
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        await self.spawn()
        await until(self.answers, f"{self.folder.name} answers")

    async def spawn(self) -> None:
        """Start it."""
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.host.enter,
                str(server_binary()),
                str(self._config),
                *self._mode,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **self.host.variables},
            )
        self.runs = True

    @property
    def exit_code(self) -> int | None:
        """What its process has ended with; None if it runs, or was not started."""
        return None if self._process is None else self._process.returncode

    async def answers(self) -> bool:
        """Say whether it answers."""
        async with self.client() as client:
            return await _answers(client)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Redis]:
        """Open a client of this server alone."""
        client = connect(self.url if not self._mode else f"redis://{self.host.address}:{self.port}")
        try:
            yield client
        finally:
            await client.aclose()

    async def ask(self, *command: str | int) -> Any:  # noqa: ANN401 - any answer
        """Send it a command."""
        async with self.client() as client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call] # the library's

    async def kill(self) -> None:
        """End it as a crash does."""
        self.runs = False
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it as an operator does."""
        self.runs = False
        await self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Stop it where it is, as a machine that hangs."""
        self.runs = False
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self.runs = True
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()

    async def close(self) -> None:
        """End it, if it runs."""
        with contextlib.suppress(ProcessLookupError):
            await self._end(signal.SIGKILL)


async def _answers(client: Redis) -> bool:
    try:
        return bool(await client.ping())
    except redis.exceptions.RedisError:
        return False


class Servers:
    """Servers that belong together, with the URL by which all of them are found."""

    def __init__(self, url: str, nodes: Sequence[Server], sentinels: Sequence[Server] = ()) -> None:
        self.url = url
        self.nodes = list(nodes)
        self.sentinels = list(sentinels)

    async def primaries(self) -> list[Server]:
        """Return the running nodes that are primaries, as far as they know themselves."""
        found = []
        for node in self.nodes:
            with contextlib.suppress(redis.exceptions.RedisError):
                if node.runs and (await node.ask("ROLE"))[0] == b"master":
                    found.append(node)
        return found

    async def close(self) -> None:
        """End all servers."""
        for server in (*self.sentinels, *self.nodes):
            await server.close()


def _options(*more: str) -> list[str]:
    return [
        f'requirepass "{PASSWORD}"',
        f'masterauth "{PASSWORD}"',
        "appendonly yes",
        "appendfsync always",
        'save ""',
        "maxmemory-policy noeviction",
        "stream-node-max-entries 1",
        "repl-diskless-sync-delay 0",
        *more,
    ]


@contextlib.asynccontextmanager
async def sentinel_servers(  # noqa: PLR0913 - each is a choice of its own, and has a default
    folder: Path,
    *,
    replicas: int = 1,
    sentinels: int = 1,
    options: Sequence[str] = (),
    hosts: Sequence[Host] = (HERE,),
    down_after_ms: int = _DOWN_AFTER_MS,
) -> AsyncIterator[Servers]:
    """Run a primary with replicas, and the Sentinels that watch it; in turn on these hosts."""
    places = [hosts[number % len(hosts)] for number in range(max(replicas + 1, sentinels))]
    primary = Server(folder, "node-0", *_options(*options), host=places[0])
    follow = f"replicaof {primary.host.address} {primary.port}"
    followers = [
        Server(folder, f"node-{n}", *_options(*options, follow), host=places[n]) for n in range(1, replicas + 1)
    ]
    nodes = [primary, *followers]
    watch = [
        f"sentinel monitor {PRIMARY} {primary.host.address} {primary.port} {sentinels // 2 + 1}",
        f'sentinel auth-pass {PRIMARY} "{PASSWORD}"',
        f"sentinel down-after-milliseconds {PRIMARY} {down_after_ms}",
        f"sentinel failover-timeout {PRIMARY} {5 * down_after_ms}",
    ]
    watchers = [Server(folder, f"sentinel-{n}", *watch, mode=["--sentinel"], host=places[n]) for n in range(sentinels)]
    addresses = ",".join(f"{one.host.address}:{one.port}" for one in watchers)
    servers = Servers(f"redis+sentinel://:{URL_PASSWORD}@{addresses}/{PRIMARY}/0", nodes, watchers)
    try:
        await asyncio.gather(*(node.start() for node in nodes))
        await until(lambda: _has_replicas(primary, replicas), "the replicas follow")
        await asyncio.gather(*(one.start() for one in watchers))

        async def all_known() -> bool:
            states = [dict(pairwise_fields(await one.ask("SENTINEL", "MASTER", PRIMARY))) for one in watchers]
            return all(
                int(state[b"num-slaves"]) == replicas and int(state[b"num-other-sentinels"]) == sentinels - 1
                for state in states
            )

        await until(all_known, "the Sentinels know of all servers")
        yield servers
    finally:
        await servers.close()


def pairwise_fields(answer: Any) -> list[tuple[bytes, bytes]]:  # noqa: ANN401 - as the server sent it
    """Return the fields of an answer, whether the client made a mapping of it or not."""
    if isinstance(answer, dict):
        return [(key if isinstance(key, bytes) else str(key).encode(), value) for key, value in answer.items()]
    return list(pairwise(answer))[::2]


async def _has_replicas(primary: Server, count: int) -> bool:
    async with primary.client() as client:
        info: Any = await client.info("replication")
    online = [info.get(f"slave{n}", {}).get("state") == "online" for n in range(count)]
    return all(online)


@contextlib.asynccontextmanager
async def cluster_servers(  # noqa: PLR0913 - same
    folder: Path,
    *,
    primaries: int = 3,
    replicas: int = 1,
    options: Sequence[str] = (),
    hosts: Sequence[Host] = (HERE,),
    down_after_ms: int = _DOWN_AFTER_MS,
) -> AsyncIterator[Servers]:
    """Run a cluster; each primary has an equal part of the slots, and so many replicas, on the hosts that follow."""
    count = primaries * (1 + replicas)
    common = _options("cluster-enabled yes", f"cluster-node-timeout {down_after_ms}", *options)
    buses = [free_ports() for _ in range(count)]
    nodes = [
        Server(folder, f"node-{n}", *common, f"cluster-port {bus}", host=hosts[(n + n // primaries) % len(hosts)])
        for n, bus in enumerate(buses)
    ]
    addresses = ",".join(f"{node.host.address}:{node.port}" for node in nodes[:primaries])
    servers = Servers(f"redis+cluster://:{URL_PASSWORD}@{addresses}", nodes)
    try:
        await asyncio.gather(*(node.start() for node in nodes))
        await _join(nodes, buses, primaries)
        yield servers
    finally:
        await servers.close()


async def _join(nodes: Sequence[Server], buses: Sequence[int], primaries: int) -> None:
    for number, node in enumerate(nodes[:primaries]):
        first, end = _SLOTS * number // primaries, _SLOTS * (number + 1) // primaries
        await node.ask("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        await node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for node, bus in zip(nodes[1:], buses[1:], strict=True):
        await nodes[0].ask("CLUSTER", "MEET", node.host.address, node.port, bus)

    async def all_meet() -> bool:
        return all([await _state(node) >= (0, len(nodes)) for node in nodes])

    await until(all_meet, "the nodes know each other")
    for number, node in enumerate(nodes[primaries:]):
        await node.ask("CLUSTER", "REPLICATE", await nodes[number % primaries].ask("CLUSTER", "MYID"))
    replicas = len(nodes) // primaries - 1

    async def all_work() -> bool:
        # Each knows of the replicas, so that clients learn of them, too, and primaries are followed.
        return all([await _state(node) == (1, len(nodes)) for node in nodes]) and all(
            [await _has_replicas(node, replicas) for node in nodes[:primaries]]
        )

    await until(all_work, "the cluster works")


async def _state(node: Server) -> tuple[int, int]:
    """Return whether a node says that the cluster works, and how many nodes it knows."""
    lines = (await node.ask("CLUSTER", "INFO")).decode().split()
    fields = dict(line.split(":") for line in lines)
    return int(fields["cluster_state"] == "ok"), int(fields["cluster_known_nodes"])


async def move_slot(servers: Servers, slot: int, source: Server, target: Server) -> int:
    """Move a slot of a cluster key by key, as operators do while it is in use; return how many keys there were."""
    names = [(await node.ask("CLUSTER", "MYID")).decode() for node in (source, target)]
    await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
    await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
    moved = 0
    while some := await source.ask("CLUSTER", "GETKEYSINSLOT", slot, 50):
        keys = [key.decode() for key in some]
        await source.ask("MIGRATE", target.host.address, target.port, "", 0, 10_000, "AUTH", PASSWORD, "KEYS", *keys)
        moved += len(keys)
    for node in (target, source, *await servers.primaries()):
        await node.ask("CLUSTER", "SETSLOT", slot, "NODE", names[1])
    return moved


async def owner_of(servers: Servers, slot: int) -> Server:
    """Return the primary that has a slot."""
    ranges = await servers.nodes[0].ask("CLUSTER", "SLOTS")
    ports = [int(owner[1]) for first, last, owner, *_ in ranges if first <= slot <= last]
    return next(node for node in servers.nodes if node.port == ports[0])
