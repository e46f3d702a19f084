"""Tenants' limits, on a real Redis: all replicas together keep to them."""

import asyncio
from itertools import count
from typing import Any

import httpx
import pytest
from exchanges import line, post, post_lines, problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.worksite import Worksite
from redis.exceptions import ConnectionError as RedisConnectionError
from unit.manual_clock import ManualClock
from waiting import until

from memstream.client import ONCE, Memstream, Operator
from memstream.contracts import keys
from memstream.contracts.messages import AcceptedLine
from memstream.contracts.tenants import TenantPolicy
from memstream.ingest.admission import Crowd
from memstream.ingest.appends import Appended
from memstream.ingest.recorder import NewEntry
from memstream.ingest.tenant_quotas import Admission, TenantQuotas, WriteRates
from memstream.ingest.tenant_usage import SLOT_SECONDS, TenantUsage, Usage
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import OverQuota, Unavailable
from memstream.streams.connections import connect
from memstream.streams.quota_scripts import TAKE_SLICE, BucketKeys, SliceArguments
from memstream.streams.rates import SLICE_LIFETIME_SECONDS, RateLimiter, capacity
from memstream.streams.scripts import Scripts
from memstream.streams.tenant_policies import TenantPolicies, read_policy, write_policy

_buckets = count(1)


async def server_ms(site: Worksite) -> int:
    """Return the server's time."""
    seconds, microseconds = await site.redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


requests = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=40)
"""Milliseconds that pass, permits wanted, and at least wanted."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rate=st.floats(0.5, 200), least=st.integers(1, 50), asked=requests)
async def test_a_bucket_never_gives_more_than_its_rate_and_what_it_holds(
    site: Worksite, rate: float, least: int, asked: list[tuple[int, int, int]]
) -> None:
    name = f"bucket-{next(_buckets)}"
    scripts, full = Scripts(site.redis), capacity(rate, least)
    granted: list[tuple[int, int, int]] = []
    passed = 0
    for milliseconds, wanted, at_least in asked:
        # Time passes by dating what is kept back: the clock is the server's.
        kept = await site.redis.hget(name, "at")
        if kept is not None:
            await site.redis.hset(name, "at", int(kept) - milliseconds)
            passed += milliseconds
        arguments = SliceArguments(rate / 1000, full, wanted, min(at_least, wanted, int(full)))
        before = await server_ms(site)
        taken = await scripts.run(TAKE_SLICE.call(BucketKeys(name), arguments))
        granted.append((before + passed, await server_ms(site) + passed, taken.permits))
        assert taken.permits == 0 or taken.permits >= arguments.at_least
        assert taken.permits <= wanted
        assert (taken.wait_ms > 0) == (taken.permits < wanted)
    for first in range(len(granted)):
        for last in range(first, len(granted)):
            milliseconds = granted[last][1] - granted[first][0]
            total = sum(permits for _, _, permits in granted[first : last + 1])
            assert total <= full + rate * (milliseconds + 1) / 1000 + 1e-6


async def test_two_replicas_together_keep_to_one_rate(site: Worksite) -> None:
    rate, least = 20.0, 1
    clock = SystemClock()
    replicas = [RateLimiter(site.redis, clock, "searches_per_second", least=least) for _ in range(2)]
    passed, started = 0, clock.monotonic()

    async def ask(replica: RateLimiter) -> None:
        nonlocal passed
        while clock.monotonic() - started < 2.0:
            try:
                await replica.take_all("acme", rate)
                passed += 1
            except OverQuota as error:
                await asyncio.sleep(min(error.retry_after, 0.02))

    await asyncio.gather(*(ask(replica) for replica in replicas for _ in range(4)))
    seconds = clock.monotonic() - started

    assert passed <= rate * (seconds + SLICE_LIFETIME_SECONDS) + capacity(rate, least)
    assert passed >= capacity(rate, least) + rate


async def test_a_slice_is_asked_for_once(site: Worksite) -> None:
    limiter = RateLimiter(site.redis, ManualClock(), "messages_per_second", least=1)
    before = (await site.redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0)

    for _ in range(100):
        await limiter.take_all("acme", 1000.0)

    after = (await site.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before <= 2


async def test_a_tenant_over_its_rate_asks_nothing_of_redis(site: Worksite) -> None:
    limiter = RateLimiter(site.redis, ManualClock(), "messages_per_second", least=1)
    await limiter.take_all("acme", 0.001)
    with pytest.raises(OverQuota):
        await limiter.take_all("acme", 0.001)
    before = (await site.redis.info("commandstats"))["cmdstat_evalsha"]["calls"]

    for _ in range(100):
        with pytest.raises(OverQuota) as caught:
            await limiter.take_all("acme", 0.001)
        assert caught.value.limit == "messages_per_second"
        assert 900 < caught.value.retry_after <= 1000

    assert (await site.redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == before


async def test_what_is_not_used_of_a_lease_ends(site: Worksite) -> None:
    clock = ManualClock()
    limiter = RateLimiter(site.redis, clock, "messages_per_second", least=10)
    await limiter.take_all("acme", 100.0)
    await site.redis.hset(keys.tenant_bucket("acme", "messages_per_second"), "level", "-1000")

    assert (await limiter.take("acme", 100.0, 5))[0] == 5
    clock.advance(SLICE_LIFETIME_SECONDS)
    assert (await limiter.take("acme", 100.0, 1))[0] == 0


async def test_without_redis_each_replica_goes_on_by_itself_for_a_time() -> None:
    redis, clock = connect("redis://127.0.0.1:1/0", timeout=0.2), ManualClock()
    limiter = RateLimiter(redis, clock, "searches_per_second", least=10, outage=60.0)
    limiter._slice("acme").answered_at = limiter._slice("acme").earned_at = clock.monotonic()
    passed = 0
    for _ in range(500):
        clock.advance(0.1)
        permits, _ = await limiter.take("acme", 2.0, 1)
        passed += permits
    assert 90 <= passed <= 102
    clock.advance(11)
    with pytest.raises(Unavailable):
        await limiter.take("acme", 2.0, 1)


async def test_without_redis_nothing_is_let_through_where_no_outage_is_allowed() -> None:
    limiter = RateLimiter(connect("redis://127.0.0.1:1/0", timeout=0.2), ManualClock(), "messages_per_second", least=1)

    with pytest.raises(Unavailable):
        await limiter.take("acme", 2.0, 1)


async def test_a_policy_is_kept_and_known_to_others_within_two_seconds(site: Worksite) -> None:
    clock = ManualClock()
    policies = TenantPolicies(site.redis, clock)
    assert await policies.of("acme") == TenantPolicy()

    await write_policy(site.redis, "acme", TenantPolicy(messages_per_second=2.5, stored_messages=7))
    await write_policy(site.redis, None, TenantPolicy(retention_days=3))
    clock.advance(2)
    assert await policies.of("acme") == TenantPolicy(messages_per_second=2.5, stored_messages=7, retention_days=3)
    assert await policies.of("other") == TenantPolicy(retention_days=3)

    await write_policy(site.redis, "acme", TenantPolicy(backlog_share=0.5))
    assert await read_policy(site.redis, "acme") == TenantPolicy(backlog_share=0.5)


async def test_a_policy_that_was_written_in_part_leaves_no_tenant_to_the_defaults(
    site: Worksite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is swept by the defaults is what no tenant in the set has."""

    async def lost(*_: object) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(site.redis, "sadd", lost)
    with pytest.raises(Unavailable):
        await write_policy(site.redis, "acme", TenantPolicy(retention_days=365))

    assert await read_policy(site.redis, "acme") == TenantPolicy()


async def test_a_policy_goes_on_to_hold_while_redis_is_out_of_reach(site: Worksite) -> None:
    await write_policy(site.redis, "acme", TenantPolicy(retention_days=3))
    clock = ManualClock()
    policies = TenantPolicies(site.redis, clock)
    await policies.of("acme")
    policies._redis = connect("redis://127.0.0.1:1/0", timeout=0.2)

    clock.advance(299)
    assert (await policies.of("acme")).retention_days == 3
    clock.advance(2)
    with pytest.raises(Unavailable):
        await policies.of("acme")


def entries(number: int, tenant: str = "acme") -> list[NewEntry]:
    """Make entries."""
    return [NewEntry(0, "live", str(index), "", "", b"", tenant) for index in range(number)]


def appended(number: int, milliseconds: int, *, duplicate: bool = False) -> list[Appended]:
    """Say that entries were appended at a time."""
    return [Appended(f"0.live.{milliseconds}-{index}", duplicate) for index in range(number)]


async def test_waiting_messages_are_counted_until_they_are_delivered(site: Worksite) -> None:
    await site.create_groups()
    now = await server_ms(site)
    mine, others = (TenantUsage(site.redis, ManualClock(), partitions=1) for _ in range(2))
    mine.count(entries(5), appended(5, now - 60_000))
    mine.count(entries(3), appended(3, now))
    mine.count(entries(9), appended(9, now, duplicate=True))
    others.count(entries(2), appended(2, now))
    others.count(entries(4, "other"), appended(4, now))
    await mine.publish()
    await others.publish()

    def read(tenant: str = "acme") -> Any:  # noqa: ANN401 - a coroutine
        return TenantUsage(site.redis, ManualClock(), partitions=1).read(tenant)

    assert [(await read()).waiting, (await read("other")).waiting, (await read("none")).waiting] == [10, 4, 0]
    await site.redis.xgroup_setid(site.stream, keys.GROUP, f"{now - 60_000}-9")
    assert (await read()).waiting == 5
    # A stream that is read again has its messages waiting again.
    await site.redis.xgroup_setid(site.stream, keys.GROUP, "0")
    assert (await read()).waiting == 10
    await site.redis.hset(keys.tenant_stored("acme"), mapping={"messages": 100, "counted_at": now // 1000})
    await site.redis.xgroup_setid(site.stream, keys.GROUP, f"{now + SLOT_SECONDS * 1000}-0")
    assert await read() == Usage(waiting=0, stored=105)
    # What is neither waiting nor new is kept no longer.
    assert await site.redis.hlen(keys.tenant_appended("acme", 0)) == 1


def write_rates(site: Worksite, clock: ManualClock) -> WriteRates:
    """Make what holds tenants to their rates."""
    return WriteRates(
        RateLimiter(site.redis, clock, "messages_per_second", least=1),
        RateLimiter(site.redis, clock, "deletions_per_second", least=1),
    )


async def test_a_tenant_gets_its_share_of_the_backlog_and_no_more(site: Worksite) -> None:
    await site.create_groups()
    await write_policy(site.redis, "acme", TenantPolicy(backlog_share=0.2))
    clock = ManualClock()
    usage = TenantUsage(site.redis, clock, partitions=1)
    quotas = TenantQuotas(
        TenantPolicies(site.redis, clock),
        write_rates(site, clock),
        usage,
        backlog_limit=50,
        crowd=lambda: Crowd(0.0, 0),
    )
    admission = await quotas.admit("acme", 8)
    assert admission == Admission(8)
    await quotas.count("acme", entries(8), appended(8, await server_ms(site)))
    clock.advance(2)
    admission = await quotas.admit("acme", 8)
    assert (admission.messages, admission.refusal and admission.refusal.limit) == (2, "backlog_share")
    with pytest.raises(OverQuota):
        await quotas.admit("acme", 8, admitted=2)
    assert (await quotas.admit("other", 1000)).messages == 1000


async def test_while_it_is_crowded_who_has_most_of_the_backlog_waits(site: Worksite) -> None:
    await site.create_groups()
    await write_policy(site.redis, "sole", TenantPolicy(backlog_share=1))
    clock = ManualClock()
    crowd = Crowd(0.3, 1000)
    quotas = TenantQuotas(
        TenantPolicies(site.redis, clock),
        write_rates(site, clock),
        TenantUsage(site.redis, clock, partitions=1),
        backlog_limit=10_000,
        crowd=lambda: crowd,
    )
    now = await server_ms(site)
    for tenant, number in (("hostile", 600), ("sole", 300), ("calm", 90)):
        await quotas.count(tenant, entries(number, tenant), appended(number, now))
    clock.advance(2)
    assert (await quotas.admit("hostile", 50)).messages == 50

    crowd = Crowd(0.8, 1000)

    with pytest.raises(OverQuota, match="600 of 500 messages are taken") as refused:
        await quotas.admit("hostile", 50)
    assert refused.value.limit == "backlog_share"
    assert [(await quotas.admit(tenant, 50)).messages for tenant in ("sole", "calm", "new")] == [50] * 3
    crowd = Crowd(0.8, 150)
    assert (await quotas.admit("calm", 50)).messages == 10


async def limited(site: Worksite, **limits: float) -> None:
    """Serve, with limits on the tenant of the stack."""
    await site.work()
    await site.serve()
    await write_policy(site.redis, "local", TenantPolicy.model_validate(limits))


async def test_one_message_too_many_is_answered_with_429_and_the_name_of_the_limit(site: Worksite) -> None:
    await limited(site, messages_per_second=0.01, searches_per_second=0.01)
    async with site.parts.client("ingest-1") as ingest, site.parts.client("retriever-1") as retriever:

        async def send(index: int) -> httpx.Response:
            return await ingest.post("/v1/messages", json={"user_id": "ana", "text": "x", "message_id": str(index)})

        answers = [await send(index) for index in range(11)]
        assert [answer.status_code for answer in answers] == [202] * 10 + [429]
        body = problem(answers[-1], 429, "overloaded")
        assert body["limit"] == "messages_per_second"
        assert 90 <= int(answers[-1].headers["retry-after"]) <= 100

        whole = await post_lines(ingest, line("ana", "more"))
        assert problem(whole, 429, "overloaded")["limit"] == "messages_per_second"

        # A context of up to 2,100 messages counts as nine searches.
        context = {"user_id": "ana", "query": "x", "limit": 100, "neighbours": 10, "token_budget": 1000}
        assert (await retriever.post("/v1/context", json=context)).status_code == 200
        searches = {"searches": [{"user_id": "ana", "query": "x"}] * 90}
        assert (await retriever.post("/v1/search/batch", json=searches)).status_code == 200
        statuses = [
            (await retriever.post("/v1/search", json={"user_id": "ana", "query": "x"})).status_code for _ in range(2)
        ]
        assert statuses == [200, 429]
        refused = await retriever.get("/v1/timeline", params={"user_id": "ana"})
        assert problem(refused, 429, "overloaded")["limit"] == "searches_per_second"
        assert int(refused.headers["retry-after"]) >= 1


async def test_deletions_have_a_rate_of_their_own(site: Worksite) -> None:
    await limited(site, messages_per_second=0.01, deletions_per_second=0.01)
    async with site.parts.client("ingest-1") as ingest:
        for index in range(10):
            await post(ingest, "ana", "x", message_id=str(index))

        async def erase(index: int) -> httpx.Response:
            return await ingest.delete("/v1/messages", params={"user_id": "ana", "message_id": str(index)})

        answers = [await erase(index) for index in range(10)]
        refused = [await erase(0), await ingest.delete("/v1/users", params={"user_id": "ana"})]

    assert [answer.status_code for answer in answers] == [202] * 10
    for answer in refused:
        assert problem(answer, 429, "overloaded")["limit"] == "deletions_per_second"
        assert int(answer.headers["retry-after"]) >= 1


async def test_lines_over_the_limit_are_refused_one_by_one_and_sent_again_by_the_client(site: Worksite) -> None:
    await limited(site, messages_per_second=5)
    async with site.parts.client("ingest-1") as ingest:
        lines = b"\n".join([b"{oops", *(line("ana", str(index)) for index in range(30))])
        answer = await post_lines(ingest, lines)
        body = answer.json()
        assert answer.status_code == 200
        assert int(answer.headers["retry-after"]) >= 1
        assert 20 <= body["accepted"] < 30
        over = [one["error"] for one in body["results"] if one.get("error", {}).get("code") == "over-quota"]
        assert len(over) == 30 - body["accepted"]
        assert {one["limit"] for one in over} == {"messages_per_second"}
        assert "limit" not in body["results"][0]["error"]
    info = site.parts.info
    waits: list[float] = []
    async with Memstream(
        ingest_url=info.ingest_url,
        retriever_url=info.retriever_url,
        api_key=info.api_key,
        on_wait=lambda _, seconds: waits.append(seconds),
    ) as memory:
        sent = await memory.send_ndjson(lines)
    assert (sent.accepted + sent.duplicates, sent.rejected) == (30, 1)
    assert [result.index for result in sent.results if isinstance(result, AcceptedLine)] == list(range(1, 31))
    assert waits


async def test_of_a_batch_nothing_is_parsed_behind_the_first_hundred_with_one_over_the_limit(site: Worksite) -> None:
    await limited(site, messages_per_second=25.5)
    async with site.parts.client("ingest-1") as ingest:
        lines = [line("ana", str(index)) for index in range(200)]
        body = (await post_lines(ingest, b"\n".join([*lines, *[b"{oops"] * 100]))).json()
        as_json = b'{"messages": [' + b", ".join([*lines, b"7"]) + b"]}"
        again = await ingest.post("/v1/messages/batch", content=as_json, headers={"content-type": "application/json"})

    # Four seconds' worth, and what is earned meanwhile.
    assert 102 <= body["accepted"] < 200
    assert [result["index"] for result in body["results"]] == list(range(300))
    assert all("error" not in one for one in body["results"][: body["accepted"]])
    assert {one["error"]["code"] for one in body["results"][body["accepted"] :]} == {"over-quota"}
    if again.status_code == 200:
        assert {one["error"]["code"] for one in again.json()["results"] if "error" in one} == {"over-quota"}
    else:
        assert problem(again, 429, "overloaded")["limit"] == "messages_per_second"


async def test_a_full_store_refuses_until_there_is_room(site: Worksite) -> None:
    await site.work(trim_period=0.2)
    await site.serve()
    info = site.parts.info
    async with Operator(ingest_url=info.ingest_url, admin_key=info.admin_key, retries=ONCE) as operator:
        await operator.set_tenant_policy("local", {"stored_messages": 3})
    async with site.parts.client("ingest-1") as ingest:

        async def refused() -> bool:
            answer = await ingest.post("/v1/messages", json={"user_id": "ana", "text": "x"})
            if answer.status_code == 202:
                return False
            return bool(problem(answer, 429, "overloaded")["limit"] == "stored_messages")

        await until(refused, "the store is full")

        async def counted() -> bool:
            return await site.redis.hexists(keys.tenant_stored("local"), "messages")

        await until(counted, "it is counted")
        async with Operator(ingest_url=info.ingest_url, admin_key=info.admin_key, retries=ONCE) as operator:
            assert (await operator.set_tenant_policy("local", {})).own == TenantPolicy()

        async def accepted() -> bool:
            return (await ingest.post("/v1/messages", json={"user_id": "ana", "text": "x"})).status_code == 202

        await until(accepted, "without the limit, there is room")


async def test_a_shorter_retention_ends_what_is_stored_and_a_sweep_removes_it(site: Worksite) -> None:
    await site.work(trim_period=0.2)
    await site.serve()
    async with site.parts.client("ingest-1") as ingest, site.parts.client("retriever-1") as retriever:
        sent = await post(ingest, "ana", "the lamp", message_id="m")
        body = {"user_id": "ana", "query": "lamp", "wait_for": [sent["position"]], "wait_timeout": 60}
        assert [hit["message_id"] for hit in (await retriever.post("/v1/search", json=body)).json()["hits"]] == ["m"]

        await write_policy(site.redis, "local", TenantPolicy(retention_days=1e-9))

        async def gone() -> bool:
            return not (await retriever.post("/v1/search", json=body)).json()["hits"]

        await until(gone, "it is found no more")

        async def swept() -> bool:
            return await site.stored() == {}

        await until(swept, "it is removed")


async def test_a_deletion_counts_what_its_tenant_keeps_no_longer(site: Worksite) -> None:
    """It is stored until a sweep comes by, so the stores have to be rid of it like of any other message."""
    await site.work(trim_period=3600)
    await site.serve()
    async with site.parts.client("ingest-1") as ingest:
        await post(ingest, "ana", "the lamp", message_id="m")
        await site.finished()
        await write_policy(site.redis, "local", TenantPolicy(retention_days=1e-9))

        asked = await ingest.delete("/v1/messages", params={"user_id": "ana", "message_id": "m"})
        await site.finished()

        receipt = (await ingest.get(f"/v1/erasures/{asked.json()['erasure_id']}")).json()
        assert (receipt["state"], receipt["messages"]) == ("done", 1)
        assert await site.stored() == {}


async def test_only_operators_see_and_set_policies(site: Worksite) -> None:
    await site.work()
    await site.serve()
    async with site.parts.client("ingest-1") as tenant:
        assert (await tenant.get("/v1/admin/tenants")).status_code == 403
        assert (await tenant.put("/v1/admin/tenants", json={"tenant": "local"})).status_code == 403
    async with site.parts.client("ingest-1", key=site.parts.info.admin_key) as admin:
        for body in ({"stored_messages": False}, {"stored_messages": "10"}, {"retention_days": True}):
            assert (await admin.put("/v1/admin/tenants", json={"tenant": "acme", **body})).status_code == 422
    info = site.parts.info
    async with Operator(ingest_url=info.ingest_url, admin_key=info.admin_key, retries=ONCE) as operator:
        await operator.set_tenant_policy(None, {"searches_per_second": 4})
        policy = await operator.set_tenant_policy("acme", {"retention_days": 30})
        assert policy.own == TenantPolicy(retention_days=30)
        assert policy.effective == TenantPolicy(retention_days=30, searches_per_second=4)
        assert await operator.tenant_policy("acme") == policy
        assert (await operator.tenant_policy(None)).own == TenantPolicy(searches_per_second=4)
