"""Nothing that a user says is in a log, in metrics, or in an answer to somebody else, whatever goes wrong."""

import json

import httpx
import pytest
from exchanges import post, post_lines
from integration.worksite import EMBEDDERS, Worksite
from waiting import until

MARK = "xylophone"
"""In every text, name and id; no program has this word."""

SERVICES = ("ingest-1", EMBEDDERS[0])


def marked(field: str) -> str:
    """Return a value for a field."""
    return f"{MARK} {field}"


async def send_everything(ingest: httpx.AsyncClient, message_id: str) -> None:
    """Send what is accepted, and what is refused in many ways."""
    fields = {name: marked(name) for name in ("conversation_id", "role", "speaker", "kind")}
    fields["metadata"] = {MARK: marked("metadata")}  # type: ignore[assignment] # any JSON
    await post(ingest, marked("user"), marked("text"), message_id=message_id, **fields)
    wrong: list[object] = [
        {"user_id": marked("user"), "text": marked("text"), MARK: 1},
        {"user_id": marked("user"), "text": [marked("text")]},
        {"user_id": marked("user"), "text": marked("text"), "occurred_at": marked("time")},
        marked("body"),
    ]
    for body in wrong:
        assert (await ingest.post("/v1/messages", json=body)).status_code == 422
    await ingest.post("/v1/messages", content=f"{{{MARK}".encode())
    await ingest.post("/v1/messages", content=MARK.encode(), headers={"content-encoding": "gzip"})
    await ingest.post("/v1/messages/batch", json={"messages": wrong, "lane": "bulk"})
    await ingest.post("/v1/messages/batch", params={"lane": MARK}, json={"messages": []})
    await post_lines(ingest, b"\n".join(json.dumps(body).encode() for body in wrong))
    await ingest.get(f"/v1/{MARK}", params={MARK: MARK})
    await ingest.get("/v1/messages/state", params={"user_id": marked("user"), "message_id": MARK})
    await ingest.delete("/v1/messages", params={"user_id": marked("user"), "message_id": MARK, MARK: MARK})
    await ingest.get(f"/v1/erasures/{MARK}", headers={"authorization": f"Bearer {MARK}"})


async def told(site: Worksite) -> str:
    """Return all logs, metrics and answers for anybody."""
    answers = [site.parts.log_file(name).read_text() for name in SERVICES]
    for name in SERVICES:
        async with site.parts.client(name, key="none") as client:
            answers += [(await client.get(path)).text for path in ("/metrics", "/health/ready", "/health/live")]
    return "\n".join(answers)


@pytest.mark.parametrize("lost", ["", "redis", "qdrant", "provider"])
async def test_nothing_that_is_said_is_told(site: Worksite, lost: str) -> None:
    site.parts.log_file("ingest-1").write_bytes(b"")
    await site.work(log_level="DEBUG" if not lost else "INFO")
    with site.setting("ingest-1", MEMSTREAM_INGEST_LOG_LEVEL="DEBUG"):
        await site.parts.start("keys", "ingest-1")
    site.script.is_quoting = True
    site.script.poison.add("text")
    async with site.parts.client("ingest-1") as ingest:
        await send_everything(ingest, f"{MARK} 1")

        async def is_dead() -> bool:
            return bool(await site.letters())

        await until(is_dead, "the message is refused")
        if lost:
            site.script.poison.clear()
            await post(ingest, marked("user"), marked("another text"), message_id=f"{MARK} 2")
            await lose(site, lost)
            await ingest.post("/v1/messages", json={"user_id": marked("user"), "text": marked("text")})
            await ingest.delete("/v1/users", params={"user_id": marked("user")})
            await find_again(site, lost)
            await site.finished()

        assert MARK in (await ingest.get("/v1/messages/state", params=ids(1))).text
        assert MARK not in await told(site)


async def lose(site: Worksite, name: str) -> None:
    """End a part; the provider fails, and quotes what it is sent."""
    if name != "provider":
        await site.parts.kill(name)
        return
    site.script.fail("server_error")
    await site.say([marked("a third text")])
    await site.calls(site.script.counts.calls + 3)
    assert MARK not in await told(site)


async def find_again(site: Worksite, name: str) -> None:
    """Start it again."""
    if name == "provider":
        site.script.mend()
    else:
        await site.come_back(name)


def ids(number: int) -> dict[str, str]:
    """Return the ids of a message."""
    return {"user_id": marked("user"), "message_id": f"{MARK} {number}"}
