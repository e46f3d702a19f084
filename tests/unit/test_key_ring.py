"""Keys as a service looks them up: how long what was read counts, and what a flood of keys costs."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self, cast

import pytest
import redis.exceptions
from unit.manual_clock import ManualClock

from memstream.contracts import keys
from memstream.contracts.api_keys import ADMIN_SCOPES, TENANT_SCOPES, ApiKey, Scope
from memstream.runtime.errors import Unavailable
from memstream.streams.connections import Redis
from memstream.web.credentials import Credential, KeyRing, digest_of, milliseconds, new_key


class Server:
    """A Redis of hashes, which counts its trips and can be away or hold its answers back."""

    def __init__(self) -> None:
        self.hashes: dict[str, Mapping[bytes, bytes]] = {}
        self.trips: list[list[str]] = []
        self.is_asked = asyncio.Event()
        self.is_away = False
        self.answers = asyncio.Event()
        self.answers.set()

    def pipeline(self, *, transaction: bool) -> "Trip":
        """Begin a trip."""
        assert not transaction
        return Trip(self)

    def add(self, key: str, fields: Mapping[bytes, bytes]) -> str:
        """Know a key."""
        self.hashes[keys.credential(digest_of(key))] = fields
        return key

    def drop(self, key: str) -> None:
        """Know a key no longer."""
        del self.hashes[keys.credential(digest_of(key))]


class Trip:
    """A pipeline."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._names: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def hgetall(self, name: str) -> None:
        """Ask for a hash."""
        self._names.append(name)

    async def execute(self) -> list[Mapping[bytes, bytes]]:
        """Answer."""
        self._server.trips.append(self._names)
        self._server.is_asked.set()
        await self._server.answers.wait()
        if self._server.is_away:
            raise redis.exceptions.ConnectionError("away")
        return [self._server.hashes.get(name, {}) for name in self._names]


TENANT = {b"tenant": b"acme", b"admin": b"0"}


class Desk:
    """A ring with its server and its clock."""

    def __init__(self, **bounds: float) -> None:
        self.server = Server()
        self.clock = ManualClock()
        self.ring = KeyRing(cast("Redis", self.server), self.clock, **bounds)

    def record(self, *scopes: Scope, lifetime: float | None = None, **fields: Any) -> str:  # noqa: ANN401 - any field
        """Make a key with an id, and know it."""
        known = ApiKey(key_id="k-1", tenant="acme", scopes=list(scopes), created_at=self.clock.now(), **fields)
        stored = {b"record": known.model_dump_json().encode()}
        if lifetime is not None:
            stored[b"expires_at"] = milliseconds(self.clock.now() + timedelta(seconds=lifetime)).encode()
        return self.server.add(new_key(), stored)


async def test_keys_without_a_record_have_all_scopes_of_a_tenant_or_an_operators() -> None:
    desk = Desk()
    plain, admin = desk.server.add("plain", TENANT), desk.server.add("admin", {**TENANT, b"admin": b"1"})

    tenant, operator = await desk.ring.look_up(plain), await desk.ring.look_up(admin)

    assert tenant is not None
    assert operator is not None
    assert (tenant.tenant, tenant.scopes, tenant.user_id, tenant.expires_at) == ("acme", TENANT_SCOPES, None, None)
    assert operator.scopes == ADMIN_SCOPES
    assert tenant.key_id == f"sha256-{digest_of(plain)[:16]}"


async def test_a_record_says_what_a_key_stands_for() -> None:
    desk = Desk()
    key = desk.record("search", "ingest", user_id="ana", device="watch", lifetime=60)

    assert await desk.ring.look_up(key) == Credential(
        "acme", frozenset({"search", "ingest"}), "ana", "watch", "k-1", desk.clock.now() + timedelta(seconds=60)
    )


@pytest.mark.parametrize("record", [b"", b"{", b"{}", b'{"key_id": "k", "tenant": "acme", "scopes": ["all"]}'])
async def test_a_record_that_cannot_be_read_opens_no_door(record: bytes) -> None:
    desk = Desk()
    key = desk.server.add(new_key(), {**TENANT, b"record": record})

    assert await desk.ring.look_up(key) is None


async def test_a_revoked_key_works_until_what_was_read_is_no_longer_fresh() -> None:
    desk = Desk()
    key = desk.server.add(new_key(), TENANT)
    assert await desk.ring.look_up(key)
    desk.server.drop(key)

    desk.clock.advance(0.9)
    assert await desk.ring.look_up(key)
    desk.clock.advance(0.2)
    assert await desk.ring.look_up(key) is None


async def test_a_known_key_is_read_once_while_that_is_fresh() -> None:
    desk = Desk()
    key = desk.server.add(new_key(), TENANT)

    for _ in range(100):
        assert await desk.ring.look_up(key)

    assert len(desk.server.trips) == 1


async def test_an_expired_key_is_refused_at_once_even_from_the_cache() -> None:
    desk = Desk(fresh=60)
    key = desk.record("search", lifetime=1)
    assert await desk.ring.look_up(key)

    desk.clock.advance(1)

    assert await desk.ring.look_up(key) is None


async def test_while_redis_is_away_keys_work_for_a_bounded_time_and_expired_ones_never() -> None:
    desk = Desk(stale=300)
    lasting, short = desk.server.add(new_key(), TENANT), desk.record("search", lifetime=100)
    assert await desk.ring.look_up(lasting)
    assert await desk.ring.look_up(short)
    desk.server.is_away = True

    desk.clock.advance(99)
    assert await desk.ring.look_up(lasting)
    assert await desk.ring.look_up(short)
    desk.clock.advance(2)
    assert await desk.ring.look_up(lasting)
    assert await desk.ring.look_up(short) is None
    desk.clock.advance(200)
    with pytest.raises(Unavailable):
        await desk.ring.look_up(lasting)


async def test_a_key_that_was_never_looked_up_is_not_refused_while_redis_is_away() -> None:
    desk = Desk()
    desk.server.is_away = True

    with pytest.raises(Unavailable):
        await desk.ring.look_up(new_key())


async def test_nobody_waits_for_a_redis_that_is_known_to_be_away() -> None:
    desk = Desk()
    key = desk.server.add(new_key(), TENANT)
    assert await desk.ring.look_up(key)
    desk.server.is_away = True
    desk.clock.advance(2)
    assert await desk.ring.look_up(key)
    desk.server.answers.clear()

    # The trip that this begins never ends, as with a host that swallows packets.
    assert await desk.ring.look_up(key)
    assert await desk.ring.look_up(key)

    assert len(desk.server.trips) <= 3


async def test_a_revocation_counts_as_soon_as_redis_is_back() -> None:
    desk = Desk()
    key = desk.server.add(new_key(), TENANT)
    assert await desk.ring.look_up(key)
    desk.server.is_away = True
    desk.clock.advance(2)
    assert await desk.ring.look_up(key)
    desk.server.is_away = False
    desk.server.drop(key)

    assert await desk.ring.look_up(key)
    # The look-up above has begun a trip; let it end.
    assert await desk.ring.look_up(new_key()) is None

    assert await desk.ring.look_up(key) is None


async def test_an_unknown_key_is_read_once_while_that_is_fresh_and_found_soon_after_it_is_made() -> None:
    desk = Desk()
    key = new_key()
    for _ in range(10):
        assert await desk.ring.look_up(key) is None
    assert len(desk.server.trips) == 1

    desk.server.add(key, TENANT)
    desk.clock.advance(1.1)

    assert await desk.ring.look_up(key)


async def test_a_flood_of_unknown_keys_makes_few_trips_and_takes_no_known_keys_place() -> None:
    desk = Desk(fresh=60)
    key = desk.server.add(new_key(), TENANT)
    assert await desk.ring.look_up(key)

    found = await asyncio.gather(*(desk.ring.look_up(f"ms_{n}") for n in range(20_000)))
    desk.server.is_away = True

    assert found == [None] * 20_000
    assert len(desk.server.trips) <= 22
    assert max(map(len, desk.server.trips)) == 1_000
    assert await desk.ring.look_up(key)


async def test_callers_with_the_same_key_share_a_trip_and_one_that_leaves_takes_it_from_nobody() -> None:
    desk = Desk()
    key = desk.server.add(new_key(), TENANT)
    desk.server.answers.clear()
    callers = [asyncio.create_task(desk.ring.look_up(key)) for _ in range(5)]
    await desk.server.is_asked.wait()
    callers[0].cancel()
    desk.server.answers.set()

    found = await asyncio.gather(*callers, return_exceptions=True)

    assert isinstance(found[0], asyncio.CancelledError)
    assert all(isinstance(one, Credential) for one in found[1:])
    assert len(desk.server.trips) == 1
