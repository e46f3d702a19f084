"""Keys: who may call, and as which tenant. Redis holds the digest of a key, never the key."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cachetools import TTLCache

from memstream.contracts import keys
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable
from memstream.streams.connections import Redis, redis_faults

_KEY_BYTES = 32
_CACHED_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Credential:
    """What a key stands for."""

    tenant: str
    admin: bool = False


def new_key() -> str:
    """Return a new key of 256 random bits."""
    return f"ms_{secrets.token_urlsafe(_KEY_BYTES)}"


def digest_of(key: str) -> str:
    """Return what is stored for a key. All of it is random, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


async def store_key(redis: Redis, key: str, credential: Credential) -> None:
    """Make a key known to every service. It does not expire.

    Raises:
        Unavailable: Redis cannot be reached.

    """
    with redis_faults():
        name = keys.credential(digest_of(key))
        await redis.hset(name, mapping={"tenant": credential.tenant, "admin": int(credential.admin)})


class KeyRing:
    """Looks keys up, and caches them for a short time.

    A revoked key stops working within `fresh` seconds. While Redis cannot be reached, a key that was looked up within
    the last `stale` seconds keeps working.
    """

    def __init__(self, redis: Redis, clock: Clock, *, fresh: float = 5.0, stale: float = 300.0) -> None:
        self._redis = redis
        self._clock = clock
        self._fresh = fresh
        self._cache: TTLCache[str, tuple[float, Credential]] = TTLCache(_CACHED_KEYS, stale, clock.monotonic)
        self._retry_at = clock.monotonic()

    async def look_up(self, key: str) -> Credential | None:
        """Return what a key stands for; None if it is not known.

        Raises:
            Unavailable: Redis cannot be reached, and the key is not in the cache.

        """
        digest = digest_of(key)
        now = self._clock.monotonic()
        try:
            # `get` would look twice.
            cached = self._cache[digest]
        except KeyError:
            cached = None
        if cached is not None and (now - cached[0] < self._fresh or now < self._retry_at):
            return cached[1]
        try:
            with redis_faults():
                fields = await self._redis.hgetall(keys.credential(digest))
        except Unavailable:
            # Not every caller has to wait for a timeout to learn that Redis is down.
            self._retry_at = self._clock.monotonic() + self._fresh
            if cached is not None:
                return cached[1]
            raise
        credential = _read(fields)
        if credential is None:
            self._cache.pop(digest, None)
        else:
            self._cache[digest] = now, credential
        return credential


def _read(fields: Mapping[Any, Any]) -> Credential | None:
    tenant = fields.get(b"tenant")
    return Credential(tenant.decode(), admin=fields.get(b"admin") == b"1") if tenant else None
