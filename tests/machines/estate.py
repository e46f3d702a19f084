"""All servers and services, each on a host of its own, as an operator has them."""

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from hosts import Host, missing_for_hosts, networked
from installation import Installation, installed
from qdrant_cluster import Cluster, clustered
from redis_servers import Servers, cluster_servers, sentinel_servers
from reliability.operations import POISON

from machines.proxy import missing_for_proxy, proxying
from memstream.local.stack.elsewhere import Elsewhere

RedisKind = Literal["sentinel", "cluster"]

EACH = 2
"""How many there are of each service."""
DIMENSIONS = 32

_TESTS = Path(__file__).parents[1]
_SERVERS = ("redis-1", "redis-2", "redis-3", "qdrant-1", "qdrant-2", "qdrant-3")
_HOSTS = (*_SERVERS, "service-1", "service-2", "front")
_REDIS: Mapping[RedisKind, Callable[..., contextlib.AbstractAsyncContextManager[Servers]]] = {
    "sentinel": partial(sentinel_servers, replicas=2, sentinels=3),
    # After a primary is lost, there still is a replica.
    "cluster": partial(cluster_servers, replicas=2),
}
_SHIPPED_REDIS = ("min-replicas-to-write 1", "min-replicas-max-lag 10")
_SHIPPED_QDRANT = {
    "SHARD_NUMBER": "6",
    "REPLICATION_FACTOR": "3",
    "WRITE_CONSISTENCY_FACTOR": "2",
    "WRITE_ORDERING": "medium",
    "READ_CONSISTENCY": "quorum",
}


@dataclass(frozen=True, slots=True)
class Estate:
    """What runs, and where."""

    hosts: Mapping[str, Host]
    redis: Servers
    qdrant: Cluster
    parts: Installation
    """The services, and the provider of embeddings."""
    partitions: int
    settings: dict[str, dict[str, str]]
    """What parts start with, by their names."""
    current: Mapping[str, dict[str, str]]
    """The same for those of this source, where another release runs first."""
    urls: Mapping[str, str]
    """Where the proxy answers for ingest, retriever and Qdrant."""


Former = Callable[[str], Mapping[str, Mapping[str, str]]]
"""Gives what another release needs to be set, by service, for the URL of the Redis primary."""


Fitted = Callable[[dict[str, Host], Path], contextlib.AbstractAsyncContextManager[dict[str, Host]]]
"""Gives hosts what tests need of them, such as disks in the folders `redis/HOST` and `qdrant/HOST`."""


@contextlib.asynccontextmanager
async def _as_they_are(hosts: dict[str, Host], _: Path) -> AsyncIterator[dict[str, Host]]:
    yield hosts


def missing() -> str | None:
    """Name what it takes and isn't there; None if nothing is missing."""
    return missing_for_hosts() or missing_for_proxy()


@contextlib.asynccontextmanager
async def running(  # noqa: PLR0913 - each is a choice of its own, and has a default
    binary: Path,
    folder: Path,
    *,
    redis: RedisKind = "sentinel",
    partitions: int = 8,
    down_after_ms: int = 5_000,
    settings: Mapping[str, Mapping[str, str]] | None = None,
    former: Former = lambda _: {},
    fitted: Fitted = _as_they_are,
) -> AsyncIterator[Estate]:
    """Run everything, Qdrant from a binary, with the settings of `deploy/compose.cluster.yaml`.

    `settings` are further ones of a service. With `former`, services of another release run first. `fitted` gives hosts
    more than an address.
    """
    async with contextlib.AsyncExitStack() as opened:
        network = await opened.enter_async_context(networked(_HOSTS))
        hosts = await opened.enter_async_context(fitted(network, folder))
        qdrant = await opened.enter_async_context(
            clustered(binary, folder / "qdrant", [hosts[f"qdrant-{n}"] for n in (1, 2, 3)])
        )
        servers = await opened.enter_async_context(
            _REDIS[redis](
                folder / "redis",
                options=_SHIPPED_REDIS,
                hosts=[hosts[f"redis-{n}"] for n in (1, 2, 3)],
                down_after_ms=down_after_ms,
            )
        )
        current = _settings(partitions, settings or {})
        older = former(servers.nodes[0].url)
        running = {name: {**values, **older.get(name.partition("-")[0], {})} for name, values in current.items()}
        parts = _planned(folder / "services", hosts, servers.url, current, running)
        await opened.enter_async_context(installed(parts))
        behind = {
            "ingest": [_place(parts, f"ingest-{n}") for n in (1, 2)],
            "retriever": [_place(parts, f"retriever-{n}") for n in (1, 2)],
            "qdrant": [f"{node.host.address}:{node.port}" for node in qdrant.nodes],
        }
        urls = await opened.enter_async_context(proxying(hosts["front"], folder / "proxy", behind))
        await parts.start("keys", "embeddings")
        # Not all at once: each takes seconds of a processor to import what it uses.
        for service in ("ingest", "embedder", "retriever"):
            await parts.start(f"{service}-1", f"{service}-2")
        yield Estate(hosts, servers, qdrant, parts, partitions, running, current, urls)


def _place(parts: Installation, name: str) -> str:
    return parts.url(name).removeprefix("http://")


def _settings(partitions: int, more: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return the settings of every service by its name."""
    everywhere = {"PARTITIONS": str(partitions), "REUSE_PORT": "false"}
    simulated = {"EMBEDDINGS_MODEL": "simulated", "EMBEDDINGS_DIMENSIONS": str(DIMENSIONS)}
    shipped = {
        "ingest": {**everywhere, "DURABILITY": "replica"},
        "embedder": {**everywhere, **simulated, **_SHIPPED_QDRANT},
        "retriever": {**everywhere, **simulated},
    }
    return {
        f"{service}-{number}": {
            f"MEMSTREAM_{service.upper()}_{name}": value for name, value in {**values, **more.get(service, {})}.items()
        }
        for service, values in shipped.items()
        for number in range(1, EACH + 1)
    }


def _planned(
    folder: Path,
    hosts: Mapping[str, Host],
    redis_url: str,
    current: dict[str, dict[str, str]],
    settings: dict[str, dict[str, str]],
) -> Installation:
    provider = (sys.executable, "-m", "provider", "--dimensions", str(DIMENSIONS), "--poison", POISON)
    parts = Installation(
        folder,
        embedders=EACH,
        each=EACH,
        settings=settings,
        embeddings=provider,
        elsewhere=Elsewhere(redis_url=redis_url, qdrant_url=f"http://{hosts['front'].address}:6333"),
        hosts={name: hosts[f"service-{name.partition('-')[2]}"] for name in current} | {"embeddings": hosts["front"]},
    )
    for name, variables in (*current.items(), *settings.items()):
        variables[f"MEMSTREAM_{name.partition('-')[0].upper()}_EMBEDDINGS_URL"] = f"{parts.url('embeddings')}/v1"
    settings["embeddings"] = {"PYTHONPATH": str(_TESTS)}
    return parts
