"""Steps of creating, rotating and revoking API keys. Their keys lie in several slots of a cluster, so each has one.

A step that is taken twice, as after a lost answer, changes nothing the second time. The order of steps is
`KeyRegistry`'s.
"""

from dataclasses import dataclass
from typing import NamedTuple

from memstream.streams.scripts import Script


class CredentialKeys(NamedTuple):
    """The hash of a key."""

    credential: str


@dataclass(frozen=True, slots=True)
class RecordArguments:
    """What is written of a key. The time is in milliseconds since 1970."""

    record: str
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class EndArguments:
    """When a key stops working, unless it stops earlier; in milliseconds since 1970."""

    expires_at: str


class AuditKeys(NamedTuple):
    """The audit record."""

    audit: str


@dataclass(frozen=True, slots=True)
class AuditArguments:
    """Which key something was done with, and how many entries the record keeps."""

    key_id: str
    action: str
    entries: int


_EXPIRE = """
local function expire(key, at)
  redis.call('HSET', key, 'expires_at', at)
  redis.call('PEXPIREAT', key, at)
end
"""

WRITE_KEY: Script[CredentialKeys, RecordArguments, bool] = Script(
    _EXPIRE
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'record', arguments.record)
if arguments.expires_at ~= cjson.null then expire(KEYS[1], arguments.expires_at) end
return 1
""",
    bool,
)
"""Writes a key. One that is there was written by the same step, and only the answer was lost."""

END_KEY: Script[CredentialKeys, EndArguments, bool] = Script(
    _EXPIRE
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local before, after = redis.call('HGET', KEYS[1], 'expires_at'), arguments.expires_at
if not before or tonumber(after) < tonumber(before) then expire(KEYS[1], after) end
return 1
""",
    bool,
)

_AUDIT = """
-- The same step may have been taken a moment ago.
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 100)) do
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  if fields.key_id == arguments.key_id and fields.action == arguments.action then return 0 end
end
redis.call('XADD', KEYS[1], 'MAXLEN', arguments.entries, '*', unpack(ARGV, 2))
return 1
"""

RECORD_CREATION: Script[AuditKeys, AuditArguments, bool] = Script(_AUDIT, bool)
"""Writes an entry of the audit record, if its key has none of this action. The payload is names and values in turn."""

RECORD_REVOCATION: Script[AuditKeys, AuditArguments, bool] = Script(_AUDIT, bool, vital=True)
"""The same, also in a Redis that is full: a key can be revoked there."""
