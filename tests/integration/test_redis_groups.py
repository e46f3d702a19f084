"""Redis of several servers, which Sentinel watches or which are a cluster: it works, and outlives a primary."""

import asyncio
import contextlib
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from exchanges import answered, ids_of, post, post_lines, search
from exchanges import line as as_line
from installation import Installation
from integration.worksite import Worksite
from redis.crc import key_slot
from redis_servers import Servers, cluster_servers, move_slot, owner_of, sentinel_servers
from waiting import until

from memstream.contracts import ids

PARTITIONS = 8
TENANT = "local"
USERS = [f"user-{number}" for number in range(12)]
"""They lie in several partitions, and those on several nodes."""

KINDS: dict[str, Callable[[Path], contextlib.AbstractAsyncContextManager[Servers]]] = {
    # After a primary is lost, there still is a replica.
    "sentinel": partial(sentinel_servers, replicas=2, sentinels=3),
    "cluster": cluster_servers,
}


class Group:
    """A Memstream on several Redis servers."""

    def __init__(self, kind: str, site: Worksite, servers: Servers) -> None:
        self.kind = kind
        self.site = site
        self.servers = servers

    def ingest(self, partitions: int) -> dict[str, str]:
        """Give the settings of ingest."""
        given = {
            "REDIS_URL": self.servers.url,
            "PARTITIONS": partitions,
            "DURABILITY": "replica",
            # Replicas of a busy machine may be slow.
            "APPEND_TIMEOUT": 10,
        }
        return {f"MEMSTREAM_INGEST_{name}": str(value) for name, value in given.items()}

    async def work(self, partitions: int) -> None:
        """Start an embedder."""
        await self.site.work(redis_url=self.servers.url, partitions=partitions, claim_idle=2, purge_period=1)

    @property
    def parts(self) -> Installation:
        """The processes."""
        return self.site.parts


@pytest_asyncio.fixture(scope="module", params=list(KINDS))
async def group(
    request: pytest.FixtureRequest, _worksite: Worksite, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Group]:
    """Give services that accept what is on a replica's disk, on each kind of Redis."""
    site = _worksite
    async with KINDS[request.param](tmp_path_factory.mktemp("servers")) as servers, site.cleared():
        group = Group(request.param, site, servers)
        with (
            site.setting("keys", MEMSTREAM_LOCAL_REDIS_URL=servers.url),
            site.setting("ingest-1", **group.ingest(PARTITIONS)),
        ):
            await group.work(PARTITIONS)
            await site.serve(redis_url=servers.url, partitions=PARTITIONS)
            yield group


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

        message = {"user_id": USERS[0], "message_id": "a"}
        erasures = [
            answered(await ingest.delete("/v1/messages", params=message), 202),
            answered(await ingest.delete("/v1/users", params={"user_id": USERS[1]}), 202),
        ]
        for erasure in erasures:
            await until(partial(is_done, ingest, erasure["erasure_id"]), "the receipt says done")
        assert "a" not in ids_of(await search(retriever, USERS[0], "lamp", limit=10))
        assert ids_of(await search(retriever, USERS[1], "lamp", limit=10)) == []


async def is_done(ingest: httpx.AsyncClient, erasure_id: str) -> bool:
    """Say whether an erasure was carried out."""
    return bool(answered(await ingest.get(f"/v1/erasures/{erasure_id}"), 200)["state"] == "done")


async def test_keys_are_issued_rotated_and_revoked(group: Group) -> None:
    async with group.parts.client("ingest-1", key=group.parts.info.admin_key) as operator:
        made = answered(await operator.post("/v1/admin/keys", json={"tenant": "acme", "scopes": ["ingest"]}), 201)
        assert await status(group, made["key"]) == 202
        path = f"/v1/admin/keys/{made['key_id']}"
        rotated = answered(await operator.post(f"{path}/rotate", json={"overlap": 0}), 201)
        assert await status(group, rotated["key"]) == 202
        await until(partial(is_refused, group, made["key"]), "the old key is refused")
        listed = answered(await operator.get("/v1/admin/keys", params={"tenant": "acme"}), 200)["keys"]
        assert [one["key_id"] for one in listed] == [rotated["key_id"]]

        assert (await operator.delete(f"/v1/admin/keys/{rotated['key_id']}")).status_code == 204
        await until(partial(is_refused, group, rotated["key"]), "the revoked key is refused")
        entries = answered(await operator.get("/v1/admin/keys/audit"), 200)["entries"]
        assert [entry["action"] for entry in entries] == ["revoked", "rotated", "created"]
        policy = {"tenant": "acme", "messages_per_second": 100}
        assert (await operator.put("/v1/admin/tenants", json=policy)).is_success
        assert (await operator.get("/v1/admin/dead-letters")).is_success


async def test_the_command_issues_a_key(group: Group) -> None:
    environment = {**os.environ, "MEMSTREAM_INGEST_REDIS_URL": group.servers.url}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memstream.ingest", "issue-key", TENANT),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()

    assert await status(group, output.decode().strip()) == 202


async def status(group: Group, key: str) -> int:
    """Post with a key."""
    async with group.parts.client("ingest-1", key=key) as ingest:
        return (await ingest.post("/v1/messages", json={"user_id": "ana", "text": "hello"})).status_code


async def is_refused(group: Group, key: str) -> bool:
    """Say whether a key works no more."""
    return await status(group, key) == 401


class Load:
    """Callers who post one message after the other, each until it is accepted."""

    def __init__(self, group: Group, name: str) -> None:
        self.accepted: list[str] = []
        self.refusals: Counter[int] = Counter()
        self.by_user: Counter[str] = Counter()
        self._group = group
        self._name = name
        self._stopped = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Post while the block runs; what was begun is accepted in the end."""
        async with self._group.parts.client("ingest-1") as ingest:
            callers = [asyncio.create_task(self._post(ingest, user)) for user in USERS]
            try:
                yield
            finally:
                self._stopped = True
                await asyncio.gather(*callers)

    async def _post(self, ingest: httpx.AsyncClient, user: str) -> None:
        for number in count():
            name = f"{self._name}-{user}-{number}"
            message = {"user_id": user, "message_id": name, "text": f"{name} was said"}
            while (answer := await ingest.post("/v1/messages", json=message)).status_code != 202:
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["retry-after"]) >= 1
                self.refusals[answer.status_code] += 1
                # Soon again, to see when the service is back.
                await asyncio.sleep(0.05)
            self.accepted.append(name)
            self.by_user[user] += 1
            if self._stopped:
                return
            await asyncio.sleep(0.1)

    async def is_accepted_for_all(self, more: int) -> None:
        """Wait until so many messages more of each user are accepted."""
        before = Counter(self.by_user)
        await until(
            lambda: all(self.by_user[user] >= before[user] + more for user in USERS), "messages of all are accepted"
        )

    async def nothing_is_lost(self) -> None:
        """Wait until every accepted message is stored; each is there once."""
        found: dict[str, list[int]] = {}

        async def all_stored() -> bool:
            found.update(await self._group.site.stored())
            return found.keys() >= set(self.accepted)

        await until(all_stored, f"all are stored but {sorted(set(self.accepted) - found.keys())[:5]}")
        assert {name for name in self.accepted if found[name] != [0]} == set()


async def test_a_primary_that_is_killed_takes_nothing_accepted_with_it(group: Group) -> None:
    load = Load(group, "kill")
    async with load.running():
        await load.is_accepted_for_all(3)
        victim = (await group.servers.primaries())[0]
        await victim.kill()
        if group.kind == "cluster":
            # The replica has taken over, and needs one itself: what is on one disk only is not accepted.
            await until(partial(is_primary_lost, group, victim.port), "a replica is elected")
            await victim.start()
        await load.is_accepted_for_all(3)

    assert load.refusals
    await load.nothing_is_lost()
    await victim.start() if group.kind != "cluster" else None


async def is_primary_lost(group: Group, port: int) -> bool:
    """Say whether as many primaries as before run without this one."""
    primaries = await group.servers.primaries()
    return len(primaries) == 3 and port not in [node.port for node in primaries]


async def test_slots_that_move_take_nothing_accepted_with_them(group: Group) -> None:
    if group.kind != "cluster":
        pytest.skip("only a cluster has slots")
    partitions = sorted({ids.partition(TENANT, user, PARTITIONS) for user in USERS})
    load = Load(group, "move")
    async with load.running():
        await load.is_accepted_for_all(3)
        for partition in partitions[:2]:
            slot = key_slot(str(partition).encode())
            source = await owner_of(group.servers, slot)
            target = next(node for node in await group.servers.primaries() if node is not source)
            assert await move_slot(group.servers, slot, source, target) > 0
        await load.is_accepted_for_all(3)

    await load.nothing_is_lost()
    async with group.parts.client("retriever-1") as retriever:
        hits = ids_of(await search(retriever, USERS[0], "said", limit=100))
        assert [name for name in hits if name.startswith("move-")]


async def accepted(send: Callable[[], Awaitable[httpx.Response]]) -> dict[str, Any]:
    """Send a request until it is accepted, as clients do: where a primary was just lost, replicas have to catch up."""
    answers: list[httpx.Response] = []

    async def is_accepted() -> bool:
        answers.append(await send())
        return answers[-1].status_code != 503

    await until(is_accepted, "it is accepted")
    return answered(answers[-1], 202)


async def test_the_number_of_partitions_is_raised(group: Group) -> None:
    # Last of all, since the others have fewer partitions.
    more = 2 * PARTITIONS
    moved = [user for user in USERS if ids.partition(TENANT, user, more) != ids.partition(TENANT, user, PARTITIONS)]
    names = {user: (f"kept-{user}", f"deleted-{user}") for user in moved}
    await group.parts.stop("embedder-1")
    async with group.parts.client("ingest-1") as ingest:
        for user in moved:
            for name in names[user]:
                message = {"user_id": user, "message_id": name, "text": f"{name} was said"}
                await accepted(partial(ingest.post, "/v1/messages", json=message))
    await group.parts.stop("ingest-1")
    with group.site.setting("ingest-1", **group.ingest(more)):
        await group.parts.start("ingest-1")
        async with group.parts.client("ingest-1") as ingest:
            erasures = [
                await accepted(
                    partial(ingest.delete, "/v1/messages", params={"user_id": user, "message_id": names[user][1]})
                )
                for user in moved
            ]
            message = {"user_id": moved[0], "message_id": names[moved[0]][0], "text": "again"}
            again = await accepted(partial(ingest.post, "/v1/messages", json=message))
            await group.work(more)
            for erasure in erasures:
                await until(partial(is_done, ingest, erasure["erasure_id"]), "the receipt says done")

    assert again["duplicate"]
    stored: dict[str, list[int]] = {}

    async def are_stored() -> bool:
        stored.update(await group.site.stored())
        return stored.keys() >= {kept for kept, _ in names.values()}

    await until(are_stored, "what was said before is stored")
    assert not stored.keys() & {deleted for _, deleted in names.values()}
