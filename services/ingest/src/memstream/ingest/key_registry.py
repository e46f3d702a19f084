"""API keys in Redis: created, listed, rotated and revoked, each with an entry in the audit record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from memstream.contracts import keys
from memstream.contracts.api_keys import (
    ApiKey,
    ApiKeyCreated,
    ApiKeyIn,
    ApiKeyPage,
    AuditEntry,
    AuditPage,
    KeyAction,
    RotationIn,
)
from memstream.contracts.keys import entry_order
from memstream.runtime.errors import Invalid
from memstream.streams.connections import Redis, decoded, redis_faults
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
from memstream.streams.scripts import Execute, Scripts, execute_at_once
from memstream.web.credentials import digest_of, milliseconds, new_key, read_record

AUDIT_ENTRIES = 10_000
"""How many entries the audit record keeps: at most 10 MB, with the longest names."""

_SCANNED = 1_000
"""Keys that are read for a page of one tenant's at most."""

_LAST = datetime.max.replace(tzinfo=UTC)

_AFTER_ALL = "\x7f"
"""Sorts after every character of an index entry."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the index, and what is known of its key."""

    key_id: str
    digest: str
    is_kept: bool
    """Whether Redis has the key; else it has expired."""
    known: ApiKey | None
    """None also if a later release wrote what this one can't read."""

    @property
    def member(self) -> str:
        return f"{self.key_id} {self.digest}"


class KeyRegistry:
    """Changes keys, and says which there are. A key is returned when it is made, and kept nowhere.

    What is done with a key is several steps, and each may be taken twice. What was recorded may not have been done, if
    Redis was lost in between; nothing is done that was not recorded before.
    """

    def __init__(
        self, client: Redis, now: Callable[[], datetime], new_id: Callable[[], str], execute: Execute = execute_at_once
    ) -> None:
        """`new_id` returns ids that sort by their time, and `execute` runs pipelines of writes."""
        self._client = client
        self._execute = execute
        self._scripts = Scripts(client, execute)
        self._now = now
        self._new_id = new_id

    async def create(self, wanted: ApiKeyIn, actor: str) -> ApiKeyCreated:
        """Make a key; it works at once.

        Raises:
            Invalid: it would have expired already.
            Unavailable: Redis cannot be reached. A key may have been made that nobody knows.

        """
        made = ApiKey(
            key_id=self._new_id(),
            tenant=wanted.tenant,
            user_id=wanted.user_id,
            device=wanted.device,
            scopes=sorted(set(wanted.scopes)),
            created_at=self._now(),
            expires_at=wanted.expires_at,
        )
        created = await self._write(made, actor, "created")
        assert created is not None  # noqa: S101 - only a rotation can come too late
        return created

    async def rotate(self, key_id: str, wanted: RotationIn, actor: str) -> ApiKeyCreated | None:
        """Make a key that takes the place of another one, which expires when the overlap is over.

        Returns None if there is no such key.

        Raises:
            Invalid: the new key would have expired already.
            Unavailable: Redis cannot be reached. The rotation may have taken place.

        """
        entry = await self._find(key_id)
        if entry is None or (old := entry.known) is None:
            return None
        now = self._now()
        expires_at = wanted.expires_at
        if expires_at is None and old.expires_at is not None:
            expires_at = now + min(old.expires_at - old.created_at, _LAST - now)
        made = old.model_copy(
            update={"key_id": self._new_id(), "created_at": now, "expires_at": expires_at, "rotated_from": key_id}
        )
        until = milliseconds(now + timedelta(seconds=wanted.overlap))
        return await self._write(made, actor, "rotated", old=keys.credential(entry.digest), old_expires_at=until)

    async def revoke(self, key_id: str, actor: str) -> bool:
        """Make a key stop working, and return whether there was one.

        Raises:
            Unavailable: Redis cannot be reached. The key may be revoked.

        """
        entry = await self._find(key_id)
        if entry is None:
            return False
        if entry.is_kept:
            # Whose key it was is not known if it can't be read.
            unread = ("actor", actor, "action", "revoked", "key_id", key_id, "tenant", "")
            fields = _audit(entry.known, actor, "revoked") if entry.known else unread
            arguments = AuditArguments(key_id, "revoked", AUDIT_ENTRIES)
            await self._scripts.run_all([RECORD_REVOCATION.call(AuditKeys(keys.AUDIT), arguments, fields)])
        with redis_faults():
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.delete(keys.credential(entry.digest))
                pipe.zrem(keys.CREDENTIAL_INDEX, entry.member)
                existed, _ = await self._execute(pipe)
        return bool(existed)

    async def page(self, tenant: str | None, after: str | None, limit: int) -> ApiKeyPage:
        """Return keys that work, of one tenant or of all, by their age. Expired ones leave the index.

        Raises:
            Unavailable: Redis cannot be reached.

        """
        scanned = _SCANNED if tenant is not None else limit
        least = "-" if after is None else f"({after} {_AFTER_ALL}"
        entries = await self._read(least, scanned)
        gone = [entry.member for entry in entries if not entry.is_kept]
        if gone:
            with redis_faults():
                await self._client.zrem(keys.CREDENTIAL_INDEX, *gone)
        found = [e.known for e in entries if e.known is not None and tenant in {None, e.known.tenant}]
        listed = found[:limit]
        cursor = None
        if len(found) > limit:
            cursor = listed[-1].key_id
        elif len(entries) == scanned:
            cursor = entries[-1].key_id
        return ApiKeyPage(keys=listed, cursor=cursor)

    async def audit(self, before: str | None, limit: int) -> AuditPage:
        """Return what was done with keys, the newest first.

        Raises:
            Unavailable: Redis cannot be reached.

        """
        if before is not None and entry_order(before) == (0, 0):
            # Redis refuses a range that ends before the lowest id.
            return AuditPage(entries=[], cursor=None)
        with redis_faults():
            newest = "+" if before is None else f"({before}"
            found: Any = await self._client.xrevrange(keys.AUDIT, newest, "-", limit)
        entries = [_audit_entry(decoded(entry_id), fields) for entry_id, fields in found]
        return AuditPage(entries=entries, cursor=decoded(found[-1][0]) if len(found) == limit else None)

    async def _write(
        self, made: ApiKey, actor: str, action: KeyAction, *, old: str | None = None, old_expires_at: str | None = None
    ) -> ApiKeyCreated | None:
        if made.expires_at is not None and made.expires_at <= made.created_at:
            raise Invalid("expires_at", "is over already")
        if old is not None:
            with redis_faults():
                if not await self._client.exists(old):
                    return None
        key = new_key()
        digest = digest_of(key)
        record = RecordArguments(
            record=made.model_dump_json(exclude={"expires_at"}, exclude_none=True),
            expires_at=None if made.expires_at is None else milliseconds(made.expires_at),
        )
        entry = AuditArguments(made.key_id, action, AUDIT_ENTRIES)
        await self._scripts.run_all([RECORD_CREATION.call(AuditKeys(keys.AUDIT), entry, _audit(made, actor, action))])
        await self._scripts.run_all([WRITE_KEY.call(CredentialKeys(keys.credential(digest)), record)])
        with redis_faults():
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.zadd(keys.CREDENTIAL_INDEX, {f"{made.key_id} {digest}": 0})
                await self._execute(pipe)
        if old is not None and old_expires_at is not None:
            await self._scripts.run_all([END_KEY.call(CredentialKeys(old), EndArguments(old_expires_at))])
        return ApiKeyCreated(**made.model_dump(), key=key)

    async def _find(self, key_id: str) -> _Entry | None:
        entries = await self._read(f"[{key_id} ", 1)
        return entries[0] if entries and entries[0].key_id == key_id else None

    async def _read(self, least: str, count: int) -> list[_Entry]:
        with redis_faults():
            members: Any = await self._client.zrangebylex(keys.CREDENTIAL_INDEX, least, "+", 0, count)
            pairs = [decoded(member).split(" ") for member in members]
            async with self._client.pipeline(transaction=False) as pipe:
                for _, digest in pairs:
                    pipe.hgetall(keys.credential(digest))
                found = await pipe.execute()
        return [
            _Entry(name, digest, bool(fields), read_record(fields))
            for (name, digest), fields in zip(pairs, found, strict=True)
        ]


def _audit(known: ApiKey, actor: str, action: KeyAction) -> Sequence[str]:
    """Return the fields of an audit entry: names and values in turn."""
    values = known.model_dump(mode="json", exclude={"created_at", "scopes"}, exclude_none=True)
    fields = {"actor": actor, "action": action, **values, "scopes": " ".join(known.scopes)}
    return [str(part) for field in fields.items() for part in field]


def _audit_entry(entry_id: str, fields: dict[bytes, bytes]) -> AuditEntry:
    values: dict[str, Any] = {decoded(name): decoded(value) for name, value in fields.items()}
    milliseconds_, _ = entry_order(entry_id)
    values["scopes"] = values.get("scopes", "").split()
    return AuditEntry.model_validate({"at": datetime.fromtimestamp(milliseconds_ / 1000, UTC), **values})
