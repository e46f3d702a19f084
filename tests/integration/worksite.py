"""Redis and Qdrant that run, a simulated provider, and embedders that a test starts and ends as it likes."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
from engines import collection_name, empty
from installation import Installation, installed
from provider.script import Script
from provider.server import providing
from waiting import until

from memstream.contracts import keys
from memstream.contracts.events import MessageRecorded
from memstream.contracts.keys import Lane
from memstream.runtime.clock import SystemClock
from memstream.streams.connections import Redis
from memstream.streams.groups import create_groups

EMBEDDERS = ("embedder-1", "embedder-2")
_OTHERS = ("ingest-1", "retriever-1")
DIMENSIONS = 32


class Worksite:
    """What the embedder works between. Every test has a Redis without keys and a collection of its own."""

    def __init__(self, parts: Installation, settings: dict[str, dict[str, str]]) -> None:
        self.parts = parts
        self.script = Script(dimensions=DIMENSIONS)
        self._settings = settings
        self._collection = ""
        self._embeddings_url = ""
        self._clock = SystemClock()

    @property
    def redis(self) -> Redis:
        """A client of the test's."""
        return self.parts.redis

    @property
    def collection(self) -> str:
        """The collection of this test."""
        return self._collection

    @property
    def stream(self) -> str:
        """The stream of the live lane."""
        return keys.stream(0, "live")

    @contextlib.asynccontextmanager
    async def cleared(self) -> AsyncIterator[None]:
        """Begin anew: nothing in Redis, nothing in Qdrant, a provider that does what it should."""
        for name in ("redis", "qdrant"):
            if not self.runs(name):
                await self.come_back(name)
        await empty(self.redis)
        if self._collection:
            # An empty one takes 150 MB of a disk that may be in memory.
            async with self.parts.qdrant() as qdrant:
                await qdrant.delete(f"/collections/{self._collection}")
        self._collection = collection_name()
        self.script = Script(dimensions=DIMENSIONS)
        async with providing(self.script) as url:
            self._embeddings_url = url
            try:
                yield
            finally:
                for name in (*EMBEDDERS, *_OTHERS):
                    if self.runs(name):
                        await self.parts.kill(name)

    def runs(self, name: str) -> bool:
        """Say whether a part has been started and has not ended."""
        return self.parts.runs(name)

    async def come_back(self, name: str) -> None:
        """Start a part again that was lost."""
        await self.parts.start(name)
        # Connections of before are of no use.
        await self.redis.connection_pool.disconnect()

    @contextlib.contextmanager
    def setting(self, name: str, **variables: str) -> Iterator[None]:
        """Give a part these environment variables when it starts within the block."""
        before = self._settings.get(name)
        self._settings[name] = variables
        try:
            yield
        finally:
            if before is None:
                del self._settings[name]
            else:
                self._settings[name] = before

    async def serve(self, **settings: object) -> None:
        """Start ingest and a retriever, once an embedder has made the collection; `settings` are the retriever's."""
        given: dict[str, object] = {
            "embeddings_url": self._embeddings_url,
            "embeddings_model": "simulated",
            "embeddings_dimensions": DIMENSIONS,
            "collection": self._collection,
            **settings,
        }
        self._settings["retriever-1"] = {
            f"MEMSTREAM_RETRIEVER_{key.upper()}": str(value) for key, value in given.items()
        }
        await self.parts.start("keys")
        await self.parts.start(*_OTHERS)

    async def serve_anew(self, **settings: object) -> None:
        """Start the retriever again, with these settings besides those of before."""
        await self.parts.kill("retriever-1")
        self._settings["retriever-1"] |= {
            f"MEMSTREAM_RETRIEVER_{key.upper()}": str(value) for key, value in settings.items()
        }
        await self.parts.start("retriever-1")

    async def work(self, name: str = "embedder-1", *, ready: bool = True, **settings: object) -> None:
        """Start an embedder, with settings by their names in lower case."""
        given: dict[str, object] = {
            "embeddings_url": self._embeddings_url,
            "embeddings_model": "simulated",
            "embeddings_dimensions": DIMENSIONS,
            "collection": self._collection,
            "qdrant_timeout": 2,
            **settings,
        }
        self._settings[name] = {f"MEMSTREAM_EMBEDDER_{key.upper()}": str(value) for key, value in given.items()}
        self.parts.log_file(name).write_bytes(b"")
        await self.parts.start(name, ready=ready)
        if ready:
            self.script.forget()

    async def say(
        self, texts: Sequence[str], *, lane: Lane = "live", user: str = "ana", entry_id: str = "*"
    ) -> list[str]:
        """Append messages as ingest does, their texts also being their ids as far as those may be long; give ids.

        With an `entry_id` of `1000-*` they were appended a second after 1970 began.
        """
        now = self._clock.now()
        events = [
            MessageRecorded(
                tenant="acme", user_id=user, message_id=text[:60], text=text, occurred_at=now, recorded_at=now
            )
            for text in texts
        ]
        async with self.redis.pipeline(transaction=False) as pipe:
            for event in events:
                pipe.xadd(
                    keys.stream(0, lane),
                    {keys.TYPE_FIELD: event.type, keys.DATA_FIELD: event.model_dump_json()},
                    id=entry_id,
                )
            return [entry_id.decode() for entry_id in await pipe.execute()]

    async def create_groups(self) -> None:
        """Create the groups, as ingest does at its start."""
        await create_groups(self.redis, 1)

    async def pending(self, consumer: str | None = None) -> list[dict[str, Any]]:
        """List the pending entries of the live lane, or those of one consumer; none without a group."""
        found: Any = await self.redis.xpending_range(
            self.stream, keys.GROUP, min="-", max="+", count=10_000, consumername=consumer
        )
        return list(found)

    async def done(self) -> bool:
        """Say whether every entry of both lanes is delivered and acknowledged."""
        for lane in keys.LANES:
            groups: Any = await self.redis.xinfo_groups(keys.stream(0, lane))
            if groups[0]["pending"] or groups[0]["lag"] != 0:
                return False
        return True

    async def finished(self) -> None:
        """Wait until every entry is acknowledged."""
        await until(self.done, "every entry is acknowledged")

    async def letters(self) -> list[dict[bytes, bytes]]:
        """Give the dead letters."""
        found: Any = await self.redis.xrange(keys.dead_letters(0))
        return [fields for _, fields in found]

    async def stored(self) -> dict[str, list[int]]:
        """Give the chunk numbers of all stored points by message id, in order; a duplicate would show twice."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for payload in await self.points():
            # A placeholder is no chunk.
            if "chunk" in payload:
                found[payload["message_id"]].append(payload["chunk"])
        return {message: sorted(chunks) for message, chunks in found.items()}

    async def points(self) -> list[dict[str, Any]]:
        """Give the payloads of all points, placeholders included."""
        found: list[dict[str, Any]] = []
        async with self.parts.qdrant() as qdrant:
            offset: object = 0
            while offset is not None:
                answer = await qdrant.post(
                    f"/collections/{self._collection}/points/scroll",
                    json={"limit": 1000, "with_payload": True, **({"offset": offset} if offset else {})},
                )
                result = answer.raise_for_status().json()["result"]
                found += [point["payload"] for point in result["points"]]
                offset = result["next_page_offset"]
        return found

    async def change_collection(
        self, dimensions: int = DIMENSIONS, *, without_index: str = "", strict: bool = False
    ) -> None:
        """Put an empty collection in the place of the one that is there: as if restored, but for what is told."""
        async with self.parts.qdrant() as qdrant:
            path = f"/collections/{self._collection}"
            info = (await qdrant.get(path)).raise_for_status().json()["result"]
            (await qdrant.delete(path)).raise_for_status()
            await self.put_collection(info, dimensions, without_index=without_index, strict=strict)

    async def describe_collection(self) -> dict[str, Any]:
        """Give what Qdrant says of the collection."""
        async with self.parts.qdrant() as qdrant:
            answer = await qdrant.get(f"/collections/{self._collection}")
            described: dict[str, Any] = answer.raise_for_status().json()["result"]
            return described

    async def delete_collection(self) -> None:
        """Lose the collection."""
        async with self.parts.qdrant() as qdrant:
            (await qdrant.delete(f"/collections/{self._collection}")).raise_for_status()

    async def put_collection(
        self, info: dict[str, Any], dimensions: int = DIMENSIONS, *, without_index: str = "", strict: bool = False
    ) -> None:
        """Create an empty collection as another one was described."""
        params, path = info["config"]["params"], f"/collections/{self._collection}"
        body = {
            "vectors": {name: {"size": dimensions, "distance": "Cosine"} for name in params["vectors"]},
            "sparse_vectors": params["sparse_vectors"],
            "hnsw_config": {"m": 0, "payload_m": 16},
            "metadata": info["config"].get("metadata"),
        }
        if strict:
            body["strict_mode_config"] = {
                "enabled": True,
                "unindexed_filtering_retrieve": False,
                "unindexed_filtering_update": False,
            }
        async with self.parts.qdrant() as qdrant:
            (await qdrant.put(path, json=body)).raise_for_status()
            for name, index in info["payload_schema"].items():
                if name != without_index:
                    await self.put_index(name, index["params"] or index["data_type"])

    async def put_index(self, field: str, schema: object) -> None:
        """Create an index of the collection."""
        async with self.parts.qdrant() as qdrant:
            body = {"field_name": field, "field_schema": schema}
            put = await qdrant.put(f"/collections/{self._collection}/index", params={"wait": "true"}, json=body)
            put.raise_for_status()

    async def healthy(self, question: str, name: str = "embedder-1") -> tuple[int, str]:
        """Ask for `live` or `ready`, and give status and body; 0 while nobody answers."""
        try:
            answer = await self.ask("GET", f"/health/{question}", name)
        except httpx.TransportError as error:
            return 0, str(error)
        return answer.status_code, answer.text

    async def ask(self, method: str, path: str, name: str = "embedder-1") -> httpx.Response:
        """Send an embedder a request."""
        async with self.parts.client(name, key="none") as client:
            return await client.request(method, path)

    async def is_ready(self, name: str = "embedder-1") -> bool:
        """Say whether an embedder is ready."""
        return (await self.healthy("ready", name))[0] == 200

    async def not_ready_for(self, reason: str, name: str = "embedder-1") -> None:
        """Wait until an embedder is live and not ready, for this reason."""

        async def told() -> bool:
            status, body = await self.healthy("ready", name)
            return status == 503 and reason in body

        await until(told, f"not ready for {reason!r}")
        assert (await self.healthy("live", name))[0] == 200

    async def calls(self, at_least: int) -> None:
        """Wait until the provider was asked so often."""
        await until(lambda: self.script.counts.calls >= at_least, f"{at_least} calls of the provider")


def texts(number: int, prefix: str = "message") -> list[str]:
    """Make different texts."""
    return [f"{prefix} {index}" for index in range(number)]


@contextlib.asynccontextmanager
async def worksite(folder: Path) -> AsyncIterator[Worksite]:
    """Run Redis and Qdrant."""
    settings: dict[str, dict[str, str]] = {}
    async with installed(Installation(folder, embedders=len(EMBEDDERS), settings=settings)) as parts:
        # Tests come and go; the settings are read when a part is started.
        parts.settings = settings
        await asyncio.gather(parts.start("redis"), parts.start("qdrant"))
        yield Worksite(parts, settings)
