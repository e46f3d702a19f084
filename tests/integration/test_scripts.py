"""Scripts on the server: how they are called, and what of it a cluster asks for."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from integration.worksite import Worksite

from memstream.contracts import keys
from memstream.runtime.errors import Unavailable
from memstream.streams.connections import primaries
from memstream.streams.credential_scripts import (
    END_KEY,
    RECORD_CREATION,
    RECORD_REVOCATION,
    WRITE_KEY,
    AuditArguments,
    AuditKeys,
    CredentialKeys,
    EndArguments,
    RecordArguments,
)
from memstream.streams.dead_letter_scripts import DEAD_LETTER, REPLAY, REPLAY_DELETION
from memstream.streams.scripts import NoArguments, Script, ScriptCall, Scripts
from memstream.streams.stream_scripts import (
    COMPLETE_RECEIPT,
    CompletionArguments,
    ReceiptKeys,
)


class OneKey(NamedTuple):
    """A key."""

    counter: str


class SomeKeys(NamedTuple):
    """Keys of which some may be missing."""

    first: str
    others: tuple[str, ...]
    last: str | None = None


@dataclass(frozen=True, slots=True)
class Amounts:
    """Arguments of several kinds."""

    amount: int
    name: str
    nothing: str | None = None


INCREASE: Script[OneKey, Amounts, int] = Script("return redis.call('INCRBY', KEYS[1], arguments.amount)", int)


def increase(counter: str, amount: int = 1) -> Any:  # noqa: ANN401 - a call
    return INCREASE.call(OneKey(counter), Amounts(amount, "x"))


async def test_a_script_gets_its_keys_its_arguments_and_its_payload(site: Worksite) -> None:
    script: Script[SomeKeys, Amounts, list[Any]] = Script(
        "return {KEYS, arguments.amount, arguments.name, arguments.nothing == cjson.null and 1 or 0, ARGV[2]}", list
    )

    call = script.call(SomeKeys("{0}:a", ("{0}:b", "{0}:c")), Amounts(2**53, 'it\'s "é"'), [b"\xff\0"])

    expected = [[b"{0}:a", b"{0}:b", b"{0}:c"], 2**53, 'it\'s "é"'.encode(), 1, b"\xff\0"]
    assert await Scripts(site.redis).run(call) == expected
    assert await Scripts(site.redis).run_all([call]) == [expected]


async def test_a_script_the_server_does_not_know_is_run_all_the_same(site: Worksite) -> None:
    scripts = Scripts(site.redis)
    for server in await primaries(site.redis):
        await server.script_flush()
    assert await scripts.run(increase("{0}:n")) == 1
    assert await scripts.run(increase("{0}:n")) == 2
    for server in await primaries(site.redis):
        await server.script_flush()
    assert await scripts.run_all([increase("{0}:n"), increase("{0}:n", 5)]) == [3, 8]


async def test_only_calls_that_were_not_run_are_sent_again(site: Worksite) -> None:
    """Else a step would be taken twice, and its second answer told."""
    other: Script[OneKey, NoArguments, int] = Script("return redis.call('DECR', KEYS[1])", int)
    scripts = Scripts(site.redis)
    for server in await primaries(site.redis):
        await server.script_flush()
    await scripts.run(increase("{0}:n", 10))

    assert await scripts.run_all([increase("{0}:n"), other.call(OneKey("{0}:n"), NoArguments())]) == [11, 10]


async def test_a_call_that_the_server_refuses_is_an_error(site: Worksite) -> None:
    await site.redis.set("{0}:text", "abc")
    scripts = Scripts(site.redis)

    with pytest.raises(Unavailable, match="not an integer"):
        await scripts.run_all([increase("{0}:n"), increase("{0}:text")])
    with pytest.raises(Unavailable, match="not an integer"):
        await scripts.run(increase("{0}:text"))


def completion(receipt: str) -> ScriptCall[bool]:
    """Make a call that completes a receipt."""
    names = ReceiptKeys(receipt, keys.purges(0))
    return COMPLETE_RECEIPT.call(names, CompletionArguments("0-x", "2026-01-31T09:30:00+00:00"), ["the purge"])


async def test_a_receipt_is_completed_only_while_it_is_kept(site: Worksite) -> None:
    """A field written to a receipt that has just expired would stay for good."""
    receipt = keys.erasure(0, "0-x")
    call = completion(receipt)
    scripts = Scripts(site.redis)

    assert await scripts.run(call) is False
    assert await site.redis.exists(receipt) == 0

    await site.redis.hset(receipt, "scope", "user")
    await site.redis.expire(receipt, 100)
    assert await scripts.run(call) is True
    assert 0 < await site.redis.ttl(receipt) <= 100
    assert await site.redis.hget(receipt, "done_at") == b"2026-01-31T09:30:00+00:00"
    assert await site.redis.hgetall(keys.purges(0)) == {b"0-x": b"the purge"}


@pytest.mark.parametrize(
    ("fields", "is_purged"),
    [
        ({"completed_lifetime": 50, "messages": 0}, False),
        ({"completed_lifetime": 50, "messages": 1}, True),
        ({"messages": 0}, True),
    ],
    ids=["unknown", "stored long ago", "seen"],
)
async def test_only_what_was_seen_or_stored_is_purged(
    site: Worksite, fields: dict[Any, Any], *, is_purged: bool
) -> None:
    """Otherwise anybody could keep the servers rewriting their files by deleting what never existed."""
    receipt = keys.erasure(0, "0-x")
    await site.redis.hset(receipt, mapping=fields)
    await site.redis.expire(receipt, 100)

    assert await Scripts(site.redis).run(completion(receipt)) is True

    assert await site.redis.exists(keys.purges(0)) == int(is_purged)
    kept = await site.redis.hgetall(receipt)
    assert kept[b"done_at"] == b"2026-01-31T09:30:00+00:00"
    assert kept.get(b"purged_at") == (None if is_purged else kept[b"done_at"])
    assert kept.get(b"waiting") == (None if is_purged else b"[]")
    assert (await site.redis.ttl(receipt) > 50) is is_purged


@pytest.mark.parametrize("script", [RECORD_CREATION, RECORD_REVOCATION])
async def test_what_was_done_with_a_key_is_recorded_once(
    site: Worksite, script: Script[AuditKeys, AuditArguments, bool]
) -> None:
    arguments = AuditArguments("one", "created", 10)
    call = script.call(AuditKeys("audit"), arguments, ["key_id", "one", "action", "created"])

    assert [await Scripts(site.redis).run(call) for _ in range(2)] == [True, False]

    assert await site.redis.xlen("audit") == 1


async def test_a_key_whose_answer_was_lost_is_written_once(site: Worksite) -> None:
    calls = [WRITE_KEY.call(CredentialKeys("new"), RecordArguments(record)) for record in ("first", "second")]

    assert [await Scripts(site.redis).run(call) for call in calls] == [True, False]

    assert await site.redis.hgetall("new") == {b"record": b"first"}


async def test_a_key_ends_at_the_earliest_of_what_was_said(site: Worksite) -> None:
    seconds, _ = await site.redis.time()
    earlier, later = f"{seconds + 100}000", f"{seconds + 200}000"
    await site.redis.hset("old", "record", "{}")

    for expires_at in (later, earlier, later):
        await Scripts(site.redis).run(END_KEY.call(CredentialKeys("old"), EndArguments(expires_at)))

    assert await site.redis.hget("old", "expires_at") == earlier.encode()
    assert await site.redis.pexpiretime("old") == int(earlier)


def test_scripts_differ_by_their_text() -> None:
    assert len({script.sha for script in (DEAD_LETTER, REPLAY, REPLAY_DELETION, COMPLETE_RECEIPT, INCREASE)}) == 5
