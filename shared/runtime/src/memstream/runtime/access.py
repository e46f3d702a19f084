"""Keys: who may call, and as which tenant. Redis holds the digest of a key, never the key."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memstream.contracts import keys
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable
from memstream.runtime.streams import Redis, redis_faults

_KEY_BYTES = 32
_KNOWN_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Credential:
    """What a key stands for."""

    tenant: str
    admin: bool = False


def new_key() -> str:
    """Make a key of 256 random bits."""
    return f"ms_{secrets.token_urlsafe(_KEY_BYTES)}"


def digest_of(key: str) -> str:
    """Give what is kept of a key. It is random through and through, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


async def store_key(redis: Redis, key: str, credential: Credential) -> None:
    """Make a key known to every service, for good.

    Raises:
        Unavailable: Redis is out of reach.

    """
    with redis_faults():
        name = keys.credential(digest_of(key))
        await redis.hset(name, mapping={"tenant": credential.tenant, "admin": int(credential.admin)})


class KeyRing:
    """Looks keys up, and remembers them for a moment.

    A key that is taken back stops working within `fresh` seconds. While Redis is out of reach, a key that
    worked within the last `stale` seconds goes on working.
    """

    def __init__(self, redis: Redis, clock: Clock, *, fresh: float = 5.0, stale: float = 300.0) -> None:
        self._redis = redis
        self._clock = clock
        self._fresh = fresh
        self._stale = stale
        self._known: dict[str, tuple[float, Credential]] = {}
        self._asked_again_at = clock.monotonic()

    async def look_up(self, key: str) -> Credential | None:
        """Say what a key stands for; None if it is not known.

        Raises:
            Unavailable: Redis is out of reach, and the key was not seen lately.

        """
        digest = digest_of(key)
        now = self._clock.monotonic()
        seen_at, credential = self._known.get(digest, (None, None))
        lately = seen_at is not None and now - seen_at < self._stale
        if seen_at is not None and now - seen_at < self._fresh:
            return credential
        if lately and now < self._asked_again_at:
            return credential
        try:
            with redis_faults():
                fields = await self._redis.hgetall(keys.credential(digest))
        except Unavailable:
            # Not every caller has to find out anew that nobody answers.
            self._asked_again_at = self._clock.monotonic() + self._fresh
            if lately:
                return credential
            raise
        found = _read(fields)
        self._remember(digest, now, found)
        return found

    def _remember(self, digest: str, now: float, credential: Credential | None) -> None:
        self._known.pop(digest, None)
        if credential is None:
            return
        while len(self._known) >= _KNOWN_AT_ONCE:
            del self._known[next(iter(self._known))]
        self._known[digest] = (now, credential)


def _read(fields: Mapping[Any, Any]) -> Credential | None:
    tenant = fields.get(b"tenant")
    return Credential(tenant.decode(), admin=fields.get(b"admin") == b"1") if tenant else None
