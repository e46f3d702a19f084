"""A message that is posted or put again under its id: one version is stored, whole, and never an older one."""

from datetime import UTC, datetime, timedelta
from typing import Any

from integration.worksite import Worksite
from waiting import until

from memstream.contracts import keys
from memstream.contracts.events import MessageRecorded

SAID = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = "Nothing of note was said today. " * 400
WEEK = timedelta(days=7)


async def record(site: Worksite, text: str, entry_id: str = "*", **fields: Any) -> None:  # noqa: ANN401 - of an event
    """Append a message as ingest does once the window is over in which it knows an id; without a time of its own."""
    given = {"occurred_at": SAID, "recorded_at": SAID, **fields}
    event = MessageRecorded(tenant="acme", user_id="ana", message_id="m", text=text, **given)
    values: Any = {keys.TYPE_FIELD: event.type, keys.DATA_FIELD: event.model_dump_json()}
    await site.redis.xadd(site.stream, values, id=entry_id)


async def test_a_repeat_changes_nothing_and_another_text_replaces_every_chunk(site: Worksite) -> None:
    await site.work()
    await record(site, LONG)
    await site.finished()
    before = await site.points()
    assert len(before) > 2

    later: dict[str, Any] = {"occurred_at": SAID + WEEK, "recorded_at": SAID + WEEK}
    await record(site, LONG, **later)
    await site.finished()
    unchanged = await site.points()
    assert [{**point, "reserved": None} for point in unchanged] == [{**point, "reserved": None} for point in before]

    await record(site, "A shorter text.", **later)
    await site.finished()
    (point,) = await site.points()
    assert (point["text"], point["chunks"]) == ("A shorter text.", 1)
    assert point["occurred_at"] == point["recorded_at"] == before[0]["occurred_at"]

    named: dict[str, Any] = {**later, "occurred_at": SAID + timedelta(days=1)}
    await record(site, "A shorter text.", replaces=True, speaker="Ana", **named)
    await site.finished()
    (point,) = await site.points()
    assert (point["speaker"], point["occurred_at"][:10], point["recorded_at"][:10]) == (
        "Ana",
        "2026-03-02",
        "2026-03-01",
    )


async def test_an_entry_that_comes_late_does_not_overwrite_a_newer_version(site: Worksite) -> None:
    await site.work()
    await record(site, "first", entry_id="1000-1")
    await record(site, "third", entry_id="1000-3", replaces=True)
    await site.finished()
    # The first two were not acknowledged, say, and are delivered again.
    await site.redis.xgroup_setid(site.stream, keys.GROUP, "0")
    await site.finished()

    (point,) = await site.points()
    assert (point["text"], point["entry"], point["entry_seq"]) == ("third", "0.live.1000-3", 3)


async def test_a_new_version_whose_time_is_over_takes_the_old_one_along(site: Worksite) -> None:
    await site.work(trim_period=0.2)
    await record(site, "first")
    await site.finished()
    assert await site.stored() == {"m": [0]}

    await record(site, "second", replaces=True, expires_at=SAID)
    await site.finished()

    async def gone() -> bool:
        return await site.stored() == {}

    await until(gone, "no version is left")
