"""A Qdrant cluster of a test's own, whose nodes can be paused and killed one by one."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from engines import qdrant_process
from hosts import HERE, Host
from ports import free_ports
from waiting import until

from memstream.local.stack.readiness import http_probe


@dataclass
class Node:
    """A server of the cluster."""

    argv: list[str]
    variables: dict[str, str]
    folder: Path
    port: int
    host: Host = HERE
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.host.address}:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        await self.spawn()
        await until(self.is_up, "a node of the cluster answers")

    async def spawn(self) -> None:
        """Start it."""
        with (self.folder / "qdrant.log").open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *self.host.enter,
                *self.argv,
                cwd=self.folder,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.host.variables, **self.variables},
            )

    @property
    def exit_code(self) -> int | None:
        """What its process has ended with; None if it runs, or was not started."""
        return None if self.process is None else self.process.returncode

    async def is_up(self) -> bool:
        """Say whether it answers; fail if it has ended."""
        assert self.exit_code is None, (self.folder / "qdrant.log").read_text()
        return await self.answers()

    async def answers(self) -> bool:
        """Say whether it answers."""
        return await http_probe("/readyz", self.host.address)(self.port) is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, such as to pause."""
        assert self.process is not None
        self.process.send_signal(number)

    async def stop(self) -> None:
        """End it as an operator does."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        await self.process.wait()

    async def kill(self) -> None:
        """End it as a crash does."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        await self.process.wait()


@dataclass
class Cluster:
    """Nodes that know each other."""

    http: httpx.AsyncClient
    nodes: list[Node] = field(default_factory=list)

    async def has_healed(self, collection: str) -> bool:
        """Say whether every replica of a collection is active, as every node sees it."""
        for node in self.nodes:
            try:
                told = (await self.http.get(f"{node.url}/collections/{collection}/cluster")).raise_for_status().json()
            except httpx.HTTPError:
                return False
            shards = told["result"]["local_shards"] + told["result"]["remote_shards"]
            if told["result"]["shard_transfers"] or any(shard["state"] != "Active" for shard in shards):
                return False
        return True

    async def orders_writes(self) -> Node:
        """Return the node that orders the writes of all shards it has a copy of: the one with the highest id."""
        peers: dict[int, Node] = {}
        for node in self.nodes:
            told = (await self.http.get(f"{node.url}/cluster")).raise_for_status().json()
            peers[told["result"]["peer_id"]] = node
        return peers[max(peers)]


@contextlib.asynccontextmanager
async def clustered(binary: Path, folder: Path, hosts: Sequence[Host] = (HERE,) * 3) -> AsyncIterator[Cluster]:
    """Run a cluster, with a node on each of these hosts."""
    # One client: to make one costs more than to ask.
    cluster = Cluster(httpx.AsyncClient(timeout=5))
    first_peer = ""
    try:
        for number, host in enumerate(hosts):
            own = folder / host.name / f"node-{number}"
            own.mkdir(parents=True)
            port = free_ports(3)
            peer = f"http://{host.address}:{port + 2}"
            argv, variables = qdrant_process(binary, own, port, None)
            argv += ["--uri", peer] if not first_peer else ["--bootstrap", first_peer, "--uri", peer]
            variables |= {
                "QDRANT__SERVICE__HOST": host.address,
                "QDRANT__CLUSTER__ENABLED": "true",
                # As in deploy/compose.cluster.yaml.
                "QDRANT__CLUSTER__CONNECTION_TIMEOUT_MS": "500",
                "QDRANT__CLUSTER__P2P__PORT": str(port + 2),
            }
            first_peer = first_peer or peer
            node = Node(argv, variables, own, port, host)
            cluster.nodes.append(node)
            await node.start()
        yield cluster
    finally:
        await cluster.http.aclose()
        for node in cluster.nodes:
            if node.process is not None and node.process.returncode is None:
                # A node that is paused ends too.
                node.process.kill()
                await node.process.wait()
