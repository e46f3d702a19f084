"""What could not be stored: found, shown, put back once, dropped, and never brought back against a delete."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from exchanges import answered, fields_of, post, problem
from installation import Installation, installed
from integration.worksite import Worksite
from waiting import PATIENCE, until

from memstream.contracts import ids, keys
from memstream.contracts.api_keys import ADMIN_SCOPES
from memstream.contracts.dead_letters import LetterName
from memstream.contracts.events import UserErased, decode_event
from memstream.contracts.messages import written_time
from memstream.embedder.jobs import Dead, Delivery, Settled
from memstream.embedder.letter_notes import LetterNotes
from memstream.embedder.pending_list import PendingList
from memstream.embedder.settlement import Settlement
from memstream.embedder.streams import source_streams
from memstream.embedder.tombstones import TombstoneSweep
from memstream.ingest.dead_letters import DeadLetters, LetterFilter
from memstream.ingest.durability import Durability
from memstream.runtime.clock import SystemClock
from memstream.streams.connections import decoded
from memstream.streams.partitioning import PartitionRecord
from memstream.web.credentials import Credential, new_key, store_key

TENANT = "acme"
PATH = "/v1/admin/dead-letters"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an operator and a tenant sit: a site with ingest, and a client for each of them."""

    site: Worksite
    operator: httpx.AsyncClient
    tenant: httpx.AsyncClient

    async def letters(self, **query: str | int) -> list[dict[str, Any]]:
        """List dead letters, page by page."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            params = {**query, **({"cursor": cursor} if cursor else {})}
            page = answered(await self.operator.get(PATH, params=params), 200)
            found += page["letters"]
            cursor = page["cursor"]
            if cursor is None:
                return found

    async def do(self, action: str, *letter_ids: str) -> list[str]:
        """Replay or drop; give the outcomes."""
        out = answered(await self.operator.post(f"{PATH}/{action}", json={"ids": letter_ids}), 200)
        assert [result["id"] for result in out["results"]] == list(letter_ids)
        return [result["outcome"] for result in out["results"]]

    async def state(self, user: str, message_id: str) -> dict[str, Any]:
        """Ask where a message is."""
        params = {"user_id": user, "message_id": message_id}
        return answered(await self.tenant.get("/v1/messages/state", params=params), 200)

    async def bury_all(self, reason: str = "no luck", entries: int = 100) -> None:
        """Be an embedder that can't store anything that waits."""
        settlement = Settlement(self.site.redis, PendingList(self.site.redis, "test"), SystemClock())
        read: Any = await self.site.redis.xreadgroup(keys.GROUP, "test", {self.site.stream: ">"}, count=entries)
        for entry_id, fields in read[0][1]:
            try:
                event = decode_event(fields[b"data"])
            except ValueError:
                event = None
            message = event if event is not None and event.type == "message.recorded.v1" else None
            delivery = Delivery(self.site.stream, "live", 0, decoded(entry_id), fields)
            await settlement.settle([Settled(delivery, message, Dead(reason, "unknown"))])

    async def bury(self, user: str, message_id: str = "m") -> str:
        """Post a message that can't be stored; give the id of its dead letter."""
        await post(self.tenant, user, f"what {user} said", message_id=message_id)
        await self.bury_all()
        return str((await self.letters())[-1]["id"])

    async def waiting(self) -> list[dict[str, Any]]:
        """Give the events that wait on the live lane."""
        groups: Any = await self.site.redis.xinfo_groups(self.site.stream)
        after = f"({decoded(groups[0]['last-delivered-id'])}"
        entries: Any = await self.site.redis.xrange(self.site.stream, min=after)
        return [json.loads(fields[b"data"]) for _, fields in entries]


@pytest_asyncio.fixture(scope="module")
async def ingest(_worksite: Worksite, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Run ingest for all tests here, on the Redis of the site."""
    settings = {"ingest-1": {"MEMSTREAM_INGEST_REDIS_URL": _worksite.parts.plan.redis_url}}
    async with installed(Installation(tmp_path_factory.mktemp("ingest"), settings=settings)) as parts:
        async with _worksite.cleared():
            await parts.start("ingest-1")
        yield parts


@pytest_asyncio.fixture
async def desk(ingest: Installation, site: Worksite) -> AsyncIterator[Desk]:
    """Begin with no dead letter, and keys that ingest has not seen yet."""
    await site.create_groups()
    admin_key, tenant_key = new_key(), new_key()
    await store_key(site.redis, admin_key, Credential("operations", ADMIN_SCOPES))
    await store_key(site.redis, tenant_key, Credential(TENANT))
    async with (
        ingest.client("ingest-1", key=admin_key) as operator,
        ingest.client("ingest-1", key=tenant_key) as tenant,
    ):
        # It may have looked while the groups were gone, and take nothing until it looks again.
        await until(lambda: _is_ready(operator), "ingest takes messages")
        yield Desk(site, operator, tenant)


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/health/ready")).status_code == 200


async def test_poison_is_listed_without_its_text_and_shown_with_it(desk: Desk) -> None:
    blank = {"type": "message.recorded.v1", "tenant": TENANT, "user_id": "ana", "message_id": "blank", "text": " \n"}
    times = {"occurred_at": "2026-01-01T00:00:00Z", "recorded_at": "2026-01-01T00:00:00Z"}
    raw = [b"{oops \xff", json.dumps({**blank, **times}).encode()]
    for data in raw:
        await desk.site.redis.xadd(desk.site.stream, {"type": "message.recorded.v1", "data": data})
    await desk.site.work()
    await desk.site.finished()

    undecodable, decodable = await desk.letters()

    assert (undecodable["class"], undecodable["tenant"], undecodable["message_id"]) == ("poison", None, None)
    assert undecodable["reason"].startswith("not an event")
    assert (decodable["reason"], decodable["attempts"], decodable["partition"]) == ("the text is blank", 1, 0)
    assert [decodable[name] for name in ("tenant", "user_id", "message_id")] == [TENANT, "ana", "blank"]
    assert decodable["size"] == len("type") + len("message.recorded.v1") + len("data") + len(raw[1])
    assert decodable["stream"] == desk.site.stream
    assert written_time(decodable["died_at"])
    assert not {"event", "data_base64", "text"} & {*undecodable, *decodable}
    shown = answered(await desk.operator.get(f"{PATH}/{undecodable['id']}"), 200)
    assert (base64.b64decode(shown["data_base64"]), shown["event"]) == (raw[0], None)
    shown = answered(await desk.operator.get(f"{PATH}/{decodable['id']}"), 200)
    assert (shown["event"]["text"], shown["data_base64"]) == (" \n", None)


async def test_what_is_mended_is_replayed_and_stored_once_under_the_same_id(desk: Desk) -> None:
    await desk.site.work()
    desk.site.script.poison = {"unlucky"}
    first = await post(desk.tenant, "ana", "an unlucky word", message_id="m")
    await desk.site.finished()
    dead = await desk.state("ana", "m")
    assert (dead["state"], dead["position"]) == ("dead", first["position"])
    (letter,) = await desk.letters()

    # Nothing is mended yet: it dies again, and is another letter.
    assert await desk.do("replay", letter["id"]) == ["replayed"]
    await desk.site.finished()
    assert (await desk.state("ana", "m"))["state"] == "dead"
    (again,) = await desk.letters()
    assert again["id"] != letter["id"]

    desk.site.script.poison = set()
    assert await desk.do("replay", letter["id"], again["id"], again["id"]) == ["missing", "replayed", "missing"]
    await desk.site.finished()

    state = await desk.state("ana", "m")
    assert (state["state"], state["message_id"]) == ("stored", "m")
    assert await desk.site.stored() == {"m": [0]}
    assert await desk.letters() == []
    repeat = await post(desk.tenant, "ana", "an unlucky word", message_id="m")
    assert repeat == {"message_id": "m", "position": state["position"], "duplicate": True, "deleted": False}


async def test_a_replay_keeps_how_long_the_message_is_known_and_all_its_fields(desk: Desk) -> None:
    letter = await desk.bury("ana")
    seen = keys.seen(0, ids.message_key(TENANT, "ana", "m"))
    await desk.site.redis.expire(seen, 1000)

    assert await desk.do("replay", letter) == ["replayed"]

    assert 990 < await desk.site.redis.ttl(seen) <= 1000
    entries: Any = await desk.site.redis.xrange(desk.site.stream)
    (_, before), (entry_id, after) = entries
    assert before == after
    assert await desk.site.redis.get(seen) == b"0.live." + entry_id


async def test_a_replayed_message_that_was_forgotten_long_ago_has_a_state_again(desk: Desk) -> None:
    letter = await desk.bury("ana")
    await desk.site.redis.delete(keys.seen(0, ids.message_key(TENANT, "ana", "m")))

    assert await desk.do("replay", letter) == ["replayed"]

    assert (await desk.state("ana", "m"))["state"] == "queued"


@pytest.mark.parametrize(("path", "message"), [("/v1/messages", {"message_id": "m"}), ("/v1/users", {})])
async def test_what_was_deleted_meanwhile_is_not_brought_back(desk: Desk, path: str, message: dict[str, str]) -> None:
    letter, other = await desk.bury("ana"), await desk.bury("bob")
    answered(await desk.tenant.delete(path, params={"user_id": "ana", **message}), 202)

    # The letter went with the deletion.
    assert [one["id"] for one in await desk.letters()] == [other]
    assert await desk.do("replay", letter, other) == ["missing", "replayed"]

    assert [event["user_id"] for event in await desk.waiting() if "text" in event] == ["bob"]
    assert (await desk.state("ana", "m"))["state"] == "deleted"
    assert await desk.letters() == []


@pytest.mark.parametrize(
    ("entry_id", "outcome"), [("1000-2", "deleted"), ("1000-3", "deleted"), ("1000-4", "replayed")]
)
async def test_what_was_said_in_the_millisecond_of_an_erasure_is_told_apart(
    desk: Desk, entry_id: str, outcome: str
) -> None:
    await desk.site.say(["m"], user="ana", entry_id=entry_id)
    await desk.bury_all()
    (letter,) = await desk.letters()
    await desk.site.redis.set(keys.erased(0, ids.owner_key(TENANT, "ana")), "1000-3")

    assert await desk.do("replay", letter["id"]) == [outcome]


async def test_a_letter_never_overwrites_a_later_message_of_the_same_id(desk: Desk) -> None:
    letter = await desk.bury("ana")
    await desk.site.redis.delete(keys.seen(0, ids.message_key(TENANT, "ana", "m")))
    await post(desk.tenant, "ana", "said again, otherwise", message_id="m")

    assert await desk.do("replay", letter) == ["dropped"]

    assert [event["text"] for event in await desk.waiting()] == ["said again, otherwise"]


@pytest.mark.parametrize(("path", "message"), [("/v1/messages", {"message_id": "m"}), ("/v1/users", {})])
async def test_no_letter_brings_back_what_was_deleted_long_ago(desk: Desk, path: str, message: dict[str, str]) -> None:
    letter = await desk.bury("ana")
    await desk.site.redis.delete(keys.seen(0, ids.message_key(TENANT, "ana", "m")))
    answered(await desk.tenant.delete(path, params={"user_id": "ana", **message}), 202)
    # As a backup of before the deletion has it, once the tombstone's time is over.
    await desk.site.redis.delete(
        keys.seen(0, ids.message_key(TENANT, "ana", "m")), keys.erased(0, ids.owner_key(TENANT, "ana"))
    )

    assert await desk.do("replay", letter) == ["missing"]
    assert await desk.letters() == []
    assert await desk.site.redis.exists(keys.letters(0), keys.letters_of(0, ids.owner_key(TENANT, "ana"))) == 0


async def test_a_letter_of_an_older_release_is_replayed_only_while_the_message_is_known(desk: Desk) -> None:
    letters = [await desk.bury(user) for user in ("ana", "bob")]
    await desk.site.redis.delete(keys.letters(0), keys.seen(0, ids.message_key(TENANT, "bob", "m")))

    assert await desk.do("replay", *letters) == ["replayed", "refused"]


@pytest.mark.parametrize("deletes_first", [True, False])
async def test_a_letter_of_an_older_release_goes_with_a_deletion_too(desk: Desk, *, deletes_first: bool) -> None:
    await desk.bury("ana")
    await desk.bury("bob")
    owners = [keys.letters_of(0, ids.owner_key(TENANT, user)) for user in ("ana", "bob")]
    await desk.site.redis.delete(keys.letters(0), *owners)
    await desk.site.redis.delete(keys.seen(0, ids.message_key(TENANT, "ana", "m")))
    notes = LetterNotes(desk.site.redis, [0])
    if not deletes_first:
        await notes.note()
    answered(await desk.tenant.delete("/v1/messages", params={"user_id": "ana", "message_id": "m"}), 202)
    await notes.note()

    assert [letter["user_id"] for letter in await desk.letters()] == ["bob"]


async def test_a_letter_is_looked_at_once_however_often_workers_start(desk: Desk) -> None:
    await desk.bury("ana")
    await LetterNotes(desk.site.redis, [0]).note()
    noted = keys.letters_of(0, ids.owner_key(TENANT, "ana"))
    await desk.site.redis.delete(noted)
    await desk.bury("bob")

    await LetterNotes(desk.site.redis, [0]).note()

    assert await desk.site.redis.exists(noted) == 0
    letters: Any = await desk.site.redis.xrevrange(keys.dead_letters(0))
    assert await desk.site.redis.get(keys.noted(0)) == letters[0][0]


async def test_a_letter_is_not_replayed_over_a_new_version(desk: Desk) -> None:
    letter = await desk.bury("ana")
    body = {"user_id": "ana", "message_id": "m", "text": "a new version"}
    assert not answered(await desk.tenant.put("/v1/messages", json=body), 202)["duplicate"]
    await desk.site.redis.delete(keys.seen(0, ids.message_key(TENANT, "ana", "m")))

    assert await desk.do("replay", letter) == ["refused"]
    assert await desk.do("drop", letter) == ["dropped"]
    assert await desk.site.redis.exists(keys.letters(0), keys.letters_of(0, ids.owner_key(TENANT, "ana"))) == 0


async def test_a_tombstone_is_kept_as_long_as_an_entry_from_before_waits(desk: Desk) -> None:
    site = desk.site
    for user in ("ana", "bob"):
        await post(desk.tenant, user, "the lamp", message_id="m")
    answered(await desk.tenant.delete("/v1/messages", params={"user_id": "ana", "message_id": "m"}), 202)
    answered(await desk.tenant.delete("/v1/users", params={"user_id": "bob"}), 202)
    tombstones = [keys.seen(0, ids.message_key(TENANT, "ana", "m")), keys.erased(0, ids.owner_key(TENANT, "bob"))]
    assert [await site.redis.ttl(name) for name in tombstones] == [-1, -1]
    # Thirty days and more have passed.
    noted: Any = await site.redis.zrange(keys.tombstones(0), 0, -1)
    await site.redis.zadd(keys.tombstones(0), dict.fromkeys(noted, 2000))
    sweep = TombstoneSweep(site.redis, source_streams(1))
    old = await site.redis.xadd(keys.stream(0, "bulk"), {"type": "x", "data": "{}"}, id="1000-0")
    await sweep.sweep()
    assert await site.redis.exists(*tombstones) == 2

    await site.redis.xreadgroup(keys.GROUP, "test", {keys.stream(0, "bulk"): ">"})
    await sweep.sweep()
    assert await site.redis.exists(*tombstones) == 2

    await site.redis.xack(keys.stream(0, "bulk"), keys.GROUP, old)
    await sweep.sweep()
    assert await site.redis.exists(*tombstones) == 0
    assert await site.redis.exists(keys.tombstones(0)) == 0


async def test_the_tombstone_of_a_message_that_never_was_goes_after_five_minutes(desk: Desk) -> None:
    redis, tombstone = desk.site.redis, keys.seen(0, ids.message_key(TENANT, "ana", "m"))
    answered(await desk.tenant.delete("/v1/messages", params={"user_id": "ana", "message_id": "m"}), 202)
    read: Any = await redis.xreadgroup(keys.GROUP, "test", {desk.site.stream: ">"})
    ((entry_id, _),) = read[0][1]
    await redis.xack(desk.site.stream, keys.GROUP, entry_id)
    noted: Any = await redis.zrange(keys.tombstones(0), 0, -1, withscores=True)
    ((name, ends),) = noted
    assert ends == keys.entry_order(decoded(entry_id))[0] + 300_000
    sweep = TombstoneSweep(redis, source_streams(1))
    await sweep.sweep()
    assert await redis.exists(tombstone) == 1

    # Five minutes have passed.
    await redis.zincrby(keys.tombstones(0), -300_001, name)
    await sweep.sweep()

    assert await redis.exists(tombstone, keys.tombstones(0)) == 0


async def test_with_a_dead_letter_a_message_is_known_however_old_it_is(desk: Desk) -> None:
    await desk.bury("ana")
    await desk.site.redis.delete(keys.seen(0, ids.message_key(TENANT, "ana", "m")))
    asked = await desk.tenant.delete("/v1/messages", params={"user_id": "ana", "message_id": "m"})

    receipt = keys.erasure(0, answered(asked, 202)["erasure_id"])
    assert not await desk.site.redis.hexists(receipt, "completed_lifetime")
    noted: Any = await desk.site.redis.zrange(keys.tombstones(0), 0, -1, withscores=True)
    ((_, ends),) = noted
    seconds, _ = await desk.site.redis.time()
    assert ends > (int(seconds) + 29 * 86_400) * 1000


async def test_an_order_to_delete_is_replayed_and_its_receipt_follows_it(desk: Desk) -> None:
    asked = await desk.tenant.delete("/v1/messages", params={"user_id": "ana", "message_id": "m"})
    receipt = f"/v1/erasures/{answered(asked, 202)['erasure_id']}"
    await desk.bury_all()
    assert answered(await desk.tenant.get(receipt), 200)["state"] == "failed"
    (letter,) = await desk.letters()

    assert await desk.do("replay", letter["id"]) == ["replayed"]

    assert answered(await desk.tenant.get(receipt), 200)["state"] == "pending"
    assert (await desk.state("ana", "m"))["state"] == "deleted"


async def test_an_order_to_erase_a_user_is_not_replayed_over_what_was_said_since(desk: Desk) -> None:
    answered(await desk.tenant.delete("/v1/users", params={"user_id": "ana"}), 202)
    await desk.bury_all()
    (letter,) = await desk.letters()
    assert letter["type"] == UserErased.model_fields["type"].default

    assert await desk.do("replay", letter["id"]) == ["refused"]

    assert await desk.letters() == [letter]


async def test_what_is_no_letter_of_the_embedders_is_shown_and_not_replayed(desk: Desk) -> None:
    entry_id = decoded(await desk.site.redis.xadd(keys.dead_letters(0), {"reason": b"odd \xff", "stream": "elsewhere"}))
    letter = f"0.{entry_id}"

    assert [found["reason"] for found in await desk.letters()] == ["odd \ufffd"]
    assert await desk.do("replay", letter) == ["refused"]
    assert await desk.do("drop", letter) == ["dropped"]


async def test_a_dropped_message_stays_dead_without_a_reason(desk: Desk) -> None:
    letter = await desk.bury("ana")
    assert (await desk.state("ana", "m"))["reason"] == "no luck"

    assert await desk.do("drop", letter) == ["dropped"]
    assert await desk.do("drop", letter) == ["missing"]
    assert await desk.do("replay", letter) == ["missing"]

    told = await desk.state("ana", "m")
    assert (told["state"], told["reason"]) == ("dead", None)
    problem(await desk.operator.get(f"{PATH}/{letter}"), 404, "not-found")


async def test_filters_narrow_the_list_down(desk: Desk) -> None:
    first, second = await desk.bury("ana"), await desk.bury("bob")
    letters = await desk.letters()
    moment = letters[1]["died_at"]

    async def named(**query: str) -> list[str]:
        return [letter["id"] for letter in await desk.letters(**query)]

    assert await named() == [first, second]
    assert await named(**{"class": "unknown"}) == [first, second]
    assert await named(**{"class": "poison"}) == []
    assert await named(reason="luck", tenant=TENANT) == [first, second]
    assert await named(reason="Luck") == await named(tenant="other") == []
    assert await named(after=moment) == [second]
    assert await named(before=moment) == [first]
    assert await named(after="0001-01-01T00:00:00Z", before="0001-01-02T00:00:00Z") == []
    assert await named(after="9999-12-31T00:00:00Z") == []


async def test_pages_follow_each_other_whatever_happens_in_between(desk: Desk) -> None:
    entries = [decoded(await desk.site.redis.xadd(keys.dead_letters(0), {"reason": str(n)})) for n in range(7)]
    one = answered(await desk.operator.get(PATH, params={"limit": 3}), 200)
    await desk.do("drop", *(letter["id"] for letter in one["letters"]))
    await desk.site.redis.xadd(keys.dead_letters(0), {"reason": "7"})
    two = answered(await desk.operator.get(PATH, params={"limit": 4, "cursor": one["cursor"]}), 200)
    three = answered(await desk.operator.get(PATH, params={"limit": 4, "cursor": two["cursor"]}), 200)

    assert [letter["reason"] for page in (one, two, three) for letter in page["letters"]] == list("01234567")
    assert [letter["id"] for letter in one["letters"]] == [f"0.{entry_id}" for entry_id in entries[:3]]
    assert three["cursor"] is None


async def test_letters_of_all_partitions_come_in_one_order(site: Worksite) -> None:
    durability = Durability(site.redis, require_fsync=False, timeout=PATIENCE)
    letters = DeadLetters(site.redis, durability, PartitionRecord(site.redis, 3), dedup_seconds=60)
    names = [LetterName(partition, f"{ms}-{n}") for ms in (1, 2, 200) for n in (1, 2) for partition in range(3)]
    for name in names:
        await site.redis.xadd(keys.dead_letters(name.partition), {"reason": "x"}, id=name.entry_id)

    for limit in (1, 2, 5, len(names)):
        found: list[str] = []
        cursor: LetterName | None = None
        while True:
            page = await letters.page(LetterFilter(), cursor, limit)
            assert len(page.letters) <= limit
            found += [letter.id for letter in page.letters]
            if page.cursor is None:
                break
            cursor = LetterName.parse(page.cursor)
        assert found == [str(name) for name in names]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/0.1-1"), ("POST", "/replay"), ("POST", "/drop")],
    ids=lambda value: value or "list",
)
async def test_a_tenants_key_is_no_key_for_operators(desk: Desk, method: str, path: str) -> None:
    letter = await desk.bury("ana")

    problem(
        await desk.tenant.request(method, f"{PATH}{path}", content=b'{"ids": ["%s"]}' % letter.encode()),
        403,
        "forbidden",
    )
    stranger = {"authorization": "Bearer ms_unknown"}
    problem(await desk.tenant.request(method, f"{PATH}{path}", headers=stranger), 401, "unauthenticated")
    assert len(await desk.letters()) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": ["0.1-1"] * 1001}, "ids"),
        ({"ids": [7]}, "ids.0"),
        ({"ids": ["0.1-1"], "id": "0.1-1"}, "id"),
    ],
    ids=["none", "empty", "too many", "no text", "unknown field"],
)
async def test_a_wrong_body_is_refused_with_its_field(desk: Desk, body: object, field: str) -> None:
    for action in ("replay", "drop"):
        refused = problem(await desk.operator.post(f"{PATH}/{action}", json=body), 422, "invalid")
        assert fields_of(refused) == [field]


async def test_ids_that_no_letter_has_are_missing(desk: Desk) -> None:
    odd = ["", "0", "0.1-1", "1.1-1", "0.1-1-1", "٣.1-1", f"0.{2**64}-0", f"0.{2**64 - 1}-{2**64 - 1}", "x" * 200]

    assert await desk.do("replay", *odd) == await desk.do("drop", *odd) == ["missing"] * len(odd)
    problem(await desk.operator.get(f"{PATH}/nonsense"), 404, "not-found")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": f"0.{2**64 - 1}-{2**64 - 1}"}, "cursor"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"after": "2026-01-01T00:00:00"}, "after"),
        ({"before": "1700000000"}, "before"),
    ],
    ids=str,
)
async def test_a_wrong_query_is_refused_with_its_field(desk: Desk, query: dict[str, str], field: str) -> None:
    assert fields_of(problem(await desk.operator.get(PATH, params=query), 422, "invalid")) == [field]
