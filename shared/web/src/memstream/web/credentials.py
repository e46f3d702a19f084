"""Keys: who may call, as which tenant and user, and for what. Redis holds the digest of a key, never the key."""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Protocol

from cachetools import TTLCache
from pydantic import ValidationError

from memstream.contracts import keys
from memstream.contracts.api_keys import ADMIN_SCOPES, TENANT_SCOPES, ApiKey, Scope
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Forbidden, Unavailable
from memstream.streams.connections import Redis, redis_faults

_KEY_BYTES = 32
_CACHED_KEYS = 10_000
_KEYS_PER_TRIP = 1_000
_SHOWN_DIGITS = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a key or a token stands for. It decides what its holder may do: nothing else does."""

    tenant: str
    scopes: frozenset[Scope] = TENANT_SCOPES
    user_id: str | None = None
    """The only user that it can read and write as; None for all users of the tenant."""
    device: str | None = None
    key_id: str | None = None
    """The name of the key, which is no secret; None for a token."""
    expires_at: datetime | None = None

    def has_expired(self, clock: Clock) -> bool:
        """Return whether its time is over."""
        return self.expires_at is not None and self.expires_at <= clock.now()

    def may_act_for(self, user_id: str) -> bool:
        """Return whether it can read and write as this user of its tenant."""
        return self.user_id is None or self.user_id == user_id

    def check_user(self, user_id: str) -> None:
        """Return if it can read and write as this user of its tenant.

        Raises:
            Forbidden: it is bound to another one.

        """
        if not self.may_act_for(user_id):
            raise Forbidden("this key is bound to another user", field="user_id")

    def check_scope(self, scope: Scope) -> None:
        """Return if it has a scope.

        Raises:
            Forbidden: it hasn't.

        """
        if scope not in self.scopes:
            needed = "a key for operators" if scope == "admin" else "a key with this scope"
            raise Forbidden(f"the scope `{scope}` is missing: this needs {needed}", missing_scope=scope)


class CredentialSource(Protocol):
    """Knows what bearers stand for."""

    async def look_up(self, bearer: str) -> Credential | None:
        """Return what a key or a token stands for; None if it is not valid, for whatever reason.

        Raises:
            Unavailable: that can't be found out now.

        """

    async def aclose(self) -> None:
        """Close its connections."""


def new_key() -> str:
    """Return a new key of 256 random bits."""
    return f"ms_{secrets.token_urlsafe(_KEY_BYTES)}"


def digest_of(key: str) -> str:
    """Return what is stored for a key. All of it is random, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


async def store_key(redis: Redis, key: str, credential: Credential) -> None:
    """Make a key known to every service, with the scopes of a tenant or of an operator. It has no id and never expires.

    Raises:
        Unavailable: Redis cannot be reached.

    """
    with redis_faults():
        name = keys.credential(digest_of(key))
        await redis.hset(name, mapping={"tenant": credential.tenant, "admin": int(credential.scopes == ADMIN_SCOPES)})


def milliseconds(time: datetime) -> str:
    """Return a time as Redis keeps it."""
    return str((time - _EPOCH) // timedelta(milliseconds=1))


def read_record(fields: Mapping[Any, Any]) -> ApiKey | None:
    """Return what Redis holds of a key that has an id; None of any other one."""
    record = fields.get(b"record")
    if record is None:
        return None
    try:
        known = ApiKey.model_validate_json(record)
    except ValidationError:
        # A later release wrote it. What can't be read opens no door.
        return None
    expires_at = fields.get(b"expires_at")
    if expires_at is not None:
        known.expires_at = _EPOCH + timedelta(milliseconds=int(expires_at))
    return known


def _read(digest: str, fields: Mapping[Any, Any]) -> Credential | None:
    if b"record" in fields:
        known = read_record(fields)
        if known is None:
            return None
        return Credential(
            known.tenant, frozenset(known.scopes), known.user_id, known.device, known.key_id, known.expires_at
        )
    tenant = fields.get(b"tenant")
    if not tenant:
        return None
    scopes = ADMIN_SCOPES if fields.get(b"admin") == b"1" else TENANT_SCOPES
    return Credential(tenant.decode(), scopes, key_id=f"sha256-{digest[:_SHOWN_DIGITS]}")


class KeyRing:
    """Looks keys up, and caches them for a short time, known or not.

    A revoked key stops working within `fresh` seconds and the time of one trip to Redis. While Redis cannot be reached,
    a key that was looked up within the last `stale` seconds keeps working, unless it has expired.

    Only one trip is made at a time, for all keys that are wanted then. A flood of unknown keys takes one connection,
    and no cached key's place.
    """

    def __init__(self, redis: Redis, clock: Clock, *, fresh: float = 1.0, stale: float = 300.0) -> None:
        self._redis = redis
        self._clock = clock
        self._fresh = fresh
        self._known: TTLCache[str, tuple[float, Credential]] = TTLCache(_CACHED_KEYS, stale, clock.monotonic)
        self._unknown: TTLCache[str, None] = TTLCache(_CACHED_KEYS, fresh, clock.monotonic)
        self._wanted: dict[str, asyncio.Future[Credential | Unavailable | None]] = {}
        self._trips: asyncio.Task[None] | None = None
        self._is_away = False

    async def look_up(self, bearer: str) -> Credential | None:
        """See `CredentialSource`. A key that is unknown, revoked or expired is None."""
        digest = digest_of(bearer)
        credential: Credential | None
        try:
            # `get` would look twice.
            read_at, credential = self._known[digest]
        except KeyError:
            credential = None if digest in self._unknown else await self._ask(digest)
        else:
            if self._clock.monotonic() - read_at >= self._fresh:
                credential = await self._renewed(digest, credential)
        return None if credential is None or credential.has_expired(self._clock) else credential

    async def aclose(self) -> None:
        """See `CredentialSource`. The client of Redis is its owner's to close."""

    async def _renewed(self, digest: str, cached: Credential) -> Credential | None:
        if self._is_away:
            # Not every caller has to wait for a timeout to learn that Redis is still down.
            self._want(digest)
            return cached
        try:
            return await self._ask(digest)
        except Unavailable:
            return cached

    async def _ask(self, digest: str) -> Credential | None:
        # Others may wait for the same answer: this caller's end is not theirs.
        answer = await asyncio.shield(self._want(digest))
        if isinstance(answer, Unavailable):
            raise Unavailable(answer.dependency, "the key can't be looked up") from answer
        return answer

    def _want(self, digest: str) -> "asyncio.Future[Credential | Unavailable | None]":
        answer = self._wanted.get(digest)
        if answer is None:
            answer = self._wanted[digest] = asyncio.get_running_loop().create_future()
            if self._trips is None or self._trips.done():
                self._trips = asyncio.create_task(self._travel())
        return answer

    async def _travel(self) -> None:
        try:
            while digests := list(islice(self._wanted, _KEYS_PER_TRIP)):
                answers = await self._read_all(digests)
                for digest, answer in zip(digests, answers, strict=True):
                    waiting = self._wanted.pop(digest)
                    if not waiting.done():
                        waiting.set_result(answer)
        finally:
            # Only a defect or the end of the process leaves anybody waiting.
            for waiting in self._wanted.values():
                waiting.cancel()
            self._wanted.clear()

    async def _read_all(self, digests: Sequence[str]) -> Sequence[Credential | Unavailable | None]:
        sent_at = self._clock.monotonic()
        try:
            with redis_faults():
                async with self._redis.pipeline(transaction=False) as pipe:
                    for digest in digests:
                        pipe.hgetall(keys.credential(digest))
                    found = await pipe.execute()
        except Unavailable as error:
            self._is_away = True
            return [error] * len(digests)
        self._is_away = False
        credentials = [_read(digest, fields) for digest, fields in zip(digests, found, strict=True)]
        for digest, credential in zip(digests, credentials, strict=True):
            if credential is None:
                self._known.pop(digest, None)
                self._unknown[digest] = None
            else:
                self._known[digest] = sent_at, credential
        return credentials
