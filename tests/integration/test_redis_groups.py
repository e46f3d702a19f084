"""Redis of several servers: a primary that Sentinel watches, and a cluster. Everything works, and outlives a primary."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from exchanges import answered, ids_of, post, post_lines, search
from exchanges import line as as_line
from installation import Installation
from integration.worksite import Worksite
from redis_servers import Servers, cluster_servers, sentinel_servers
from waiting import until

from memstream.streams.connections import Redis, connect

PARTITIONS = 8
USERS = [f"user-{number}" for number in range(12)]
"""They lie in several partitions, and those on several nodes."""

KINDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Servers]]] = {
    "sentinel": sentinel_servers,
    "cluster": cluster_servers,
}


class Group:
    """A Memstream on several Redis servers."""

    def __init__(self, site: Worksite, servers: Servers, redis: Redis) -> None:
        self.site = site
        self.servers = servers
        self.redis = redis

    @property
    def parts(self) -> Installation:
        return self.site.parts

    async def run(self) -> None:
        """Start all services."""
        url = self.servers.url
        await self.site.work(redis_url=url, partitions=PARTITIONS, claim_idle=2, purge_period=1)
        await self.site.serve(redis_url=url, partitions=PARTITIONS)


@pytest_asyncio.fixture(params=list(KINDS))
async def group(request: pytest.FixtureRequest, site: Worksite, tmp_path: Path) -> AsyncIterator[Group]:
    """Give services that accept what is on a replica's disk, on each kind of Redis."""
    async with KINDS[request.param](tmp_path) as servers:
        redis = connect(servers.url)
        ingest = {"REDIS_URL": servers.url, "PARTITIONS": str(PARTITIONS), "DURABILITY": "replica"}
        with (
            site.setting("keys", MEMSTREAM_LOCAL_REDIS_URL=servers.url),
            site.setting("ingest-1", **{f"MEMSTREAM_INGEST_{name}": value for name, value in ingest.items()}),
        ):
            group = Group(site, servers, redis)
            await group.run()
            yield group
            for name in ("embedder-1", "ingest-1", "retriever-1"):
                await site.parts.kill(name)
        await redis.aclose()


async def test_messages_are_accepted_found_and_deleted(group: Group) -> None:
    async with group.parts.client("ingest-1") as ingest, group.parts.client("retriever-1") as retriever:
        positions = {}
        for user in USERS:
            first = await post(ingest, user, f"the lamp of {user} is broken", message_id="a")
            second = await post(ingest, user, f"{user} has a red bicycle", message_id="b")
            positions[user] = [first["position"], second["position"]]
        batch = b"\n".join(as_line(user, "c", f"{user} reads about lamps") for user in USERS)
        assert (await post_lines(ingest, batch, lane="bulk")).status_code == 200
        again = await post(ingest, USERS[0], f"the lamp of {USERS[0]} is broken", message_id="a")
        assert (again["duplicate"], again["position"]) == (True, positions[USERS[0]][0])
        for user in USERS:
            answer = await search(retriever, user, "lamp", wait_for=positions[user], limit=10)
            assert {"a", "b"} <= set(ids_of(answer))

        erasures = [
            answered(await ingest.delete("/v1/messages", params={"user_id": USERS[0], "message_id": "a"}), 202),
            answered(await ingest.delete(f"/v1/users/{USERS[1]}"), 202),
        ]
        for erasure in erasures:
            await until(lambda one=erasure: is_done(ingest, one["erasure_id"]), "the receipt says done")
        assert "a" not in ids_of(await search(retriever, USERS[0], "lamp", limit=10))
        assert ids_of(await search(retriever, USERS[1], "lamp", limit=10)) == []


async def is_done(ingest: httpx.AsyncClient, erasure_id: str) -> bool:
    return bool(answered(await ingest.get(f"/v1/erasures/{erasure_id}"), 200)["state"] == "done")


async def test_keys_are_issued_rotated_and_revoked(group: Group) -> None:
    admin = group.parts.info.admin_key
    async with group.parts.client("ingest-1", key=admin) as operator:
        made = answered(await operator.post("/v1/admin/keys", json={"tenant": "acme", "scopes": ["ingest"]}), 201)
        assert await may_post(group, made["key"])
        path = f"/v1/admin/keys/{made['key_id']}"
        rotated = answered(await operator.post(f"{path}/rotate", json={"overlap": 0}), 201)
        assert await may_post(group, rotated["key"])
        await until(lambda: is_refused(group, made["key"]), "the old key is refused")
        listed = answered(await operator.get("/v1/admin/keys", params={"tenant": "acme"}), 200)["keys"]
        assert [one["key_id"] for one in listed] == [rotated["key_id"]]

        assert (await operator.delete(f"/v1/admin/keys/{rotated['key_id']}")).is_success
        await until(lambda: is_refused(group, rotated["key"]), "the revoked key is refused")
        entries = answered(await operator.get("/v1/admin/audit"), 200)["entries"]
        assert [entry["action"] for entry in entries] == ["revoked", "rotated", "created"]
        assert (await operator.put("/v1/admin/tenants/acme", json={"retention": 3600})).is_success


async def may_post(group: Group, key: str) -> bool:
    async with group.parts.client("ingest-1", key=key) as ingest:
        return (await ingest.post("/v1/messages", json={"user_id": "ana", "text": "hello"})).status_code == 202


async def is_refused(group: Group, key: str) -> bool:
    async with group.parts.client("ingest-1", key=key) as ingest:
        return (await ingest.post("/v1/messages", json={"user_id": "ana", "text": "hello"})).status_code == 401
