"""`restore`: a collection that was lost comes back from a snapshot and the streams, while messages are posted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import engines
import pytest
from integration.test_late_writes import request_deletion
from integration.worksite import Worksite, texts
from pydantic import HttpUrl, RedisDsn, SecretStr
from qdrant_proxy import proxied
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from waiting import until

from memstream.embedder.restoring import RestoreRequest, restore
from memstream.embedder.settings import EmbedderSettings
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import GlobalFault

SERVICES = ("embedder-1", "retriever-1")


@dataclass
class Backups:
    """Makes snapshots, and is asked to recover them."""

    url: str
    """Of the Qdrant that recovers them."""
    site: Worksite
    kept: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]

    async def make(self) -> str:
        """Make a snapshot, and give its location."""
        async with self.site.parts.qdrant() as qdrant:
            path = f"/collections/{self.site.collection}"
            if engines.chosen().qdrant_binary is not None:
                made = (await qdrant.post(f"{path}/snapshots", params={"wait": "true"})).raise_for_status()
                folder = self.site.parts.plan.directory.qdrant / "snapshots" / self.site.collection
                return f"file://{folder / made.json()['result']['name']}"
            info = await self.site.describe_collection()
            body = {"limit": 10_000, "with_payload": True, "with_vector": True}
            points = (
                (await qdrant.post(f"{path}/points/scroll", json=body)).raise_for_status().json()["result"]["points"]
            )
            self.kept["file:///kept"] = info, points
        return "file:///kept"

    async def recover(self, request: Request, body: bytes) -> Response | None:
        """Do what the embedded Qdrant can't."""
        if not request.url.path.endswith("/snapshots/recover") or engines.chosen().qdrant_binary is not None:
            return None
        assert b'"priority":"snapshot"' in body.replace(b" ", b"")
        info, points = self.kept["file:///kept"]
        await self.site.put_collection(info)
        async with self.site.parts.qdrant() as qdrant:
            path = f"/collections/{self.site.collection}/points"
            (await qdrant.put(path, params={"wait": "true"}, json={"points": points})).raise_for_status()
        return JSONResponse({"result": True, "status": "ok", "time": 0.0})

    async def restore(self, location: str, **wanted: Any) -> None:  # noqa: ANN401 - as a request has it
        """Call the command."""
        plan = self.site.parts.plan
        settings = EmbedderSettings(
            redis_url=RedisDsn(plan.redis_url),
            qdrant_url=HttpUrl(self.url),
            collection=self.site.collection,
            embeddings_api_key=SecretStr("none"),
        )
        await restore(settings, RestoreRequest(location, **wanted), SystemClock(), lambda _: None)


@contextlib.asynccontextmanager
async def backing_up(site: Worksite) -> AsyncIterator[Backups]:
    """Stand between the command and Qdrant."""
    backups = Backups("", site, {})
    async with proxied(site.parts.qdrant(), backups.recover) as proxy:
        backups.url = proxy.url
        yield backups


async def is_noted(site: Worksite) -> bool:
    """Say whether the collection says until when everything is in it."""
    return "memstream_settled_ms" in ((await site.describe_collection())["config"].get("metadata") or {})


async def test_under_load_nothing_is_lost_or_doubled_and_what_was_deleted_stays_deleted(site: Worksite) -> None:
    await site.work(trim_period=0.2)
    await site.serve()
    said = [*texts(20, "before"), "deleted"]
    await site.say(said)
    await site.finished()
    await until(lambda: is_noted(site), "the time is noted")
    stop = asyncio.Event()

    async def keep_saying() -> None:
        while not stop.is_set():
            text = f"load {len(said)}"
            said.append(text)
            await site.say([text])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.05)

    async with backing_up(site) as backups, asyncio.TaskGroup() as load:
        load.create_task(keep_saying())
        location = await backups.make()
        await until(lambda: len(said) > 60, "messages come after the snapshot")
        await request_deletion(site, "deleted")
        await site.delete_collection()
        for name in SERVICES:
            await site.not_ready_for("is lost: restore it", name)
        await backups.restore(location)
        for name in SERVICES:
            await until(lambda name=name: site.is_ready(name), f"{name} is ready")  # type: ignore[misc]
        stop.set()
    await site.finished()
    assert await site.stored() == {text: [0] for text in said if text != "deleted"}
    assert await site.letters() == []


async def test_what_can_not_be_restored_is_said_and_services_go_on_waiting(site: Worksite) -> None:
    await site.work(trim_period=0.2)
    await site.say(["before"])
    await site.finished()
    await until(lambda: is_noted(site), "the time is noted")
    async with backing_up(site) as backups:
        location = await backups.make()
        with pytest.raises(GlobalFault, match="give --replace"):
            await backups.restore(location)
        with pytest.raises(GlobalFault, match="older than the replay window"):
            await backups.restore(location, replace=True, since=1)
        await site.not_ready_for("is being restored")
        await backups.restore(location, replace=True, since=1, partially=True)
    await until(site.is_ready, "ready")
    await site.finished()
    assert await site.stored() == {"before": [0]}
