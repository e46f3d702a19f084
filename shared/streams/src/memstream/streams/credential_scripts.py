"""How API keys are created, rotated and revoked, each in one step with its entry in the audit record.

The payload of each call is that entry: names and values in turn. The record keeps a fixed number of entries.
"""

from dataclasses import dataclass
from typing import NamedTuple

from memstream.streams.scripts import Script


class CreationKeys(NamedTuple):
    """The new key's hash, the index of all keys, and the audit record; for a rotation the old key's hash."""

    credential: str
    all_keys: str
    audit: str
    old: str | None = None


@dataclass(frozen=True, slots=True)
class CreationArguments:
    """A key to write. Times are in milliseconds since 1970."""

    record: str
    member: str
    """Its entry in the index."""
    audit_entries: int
    expires_at: str | None = None
    old_expires_at: str | None = None
    """When the old key of a rotation stops working, unless it stops earlier."""


class RevocationKeys(NamedTuple):
    """The key's hash, the index of all keys, and the audit record."""

    credential: str
    all_keys: str
    audit: str


@dataclass(frozen=True, slots=True)
class RevocationArguments:
    """A key to revoke."""

    member: str
    audit_entries: int


_AUDIT = """
local function write_audit(key)
  redis.call('XADD', key, 'MAXLEN', arguments.audit_entries, '*', unpack(ARGV, 2))
end
local function expire(key, at)
  redis.call('HSET', key, 'expires_at', at)
  redis.call('PEXPIREAT', key, at)
end
"""

# Writes a key. With an old one, that one expires as well; if there is none (any more), nothing is done. A key that is
# there was written by the same call, and only the answer was lost.
CREATE_KEY: Script[CreationKeys, CreationArguments, bool] = Script(
    _AUDIT
    + """
local credential, index, audit, old = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('EXISTS', credential) == 1 then return 1 end
if old then
  if redis.call('EXISTS', old) == 0 then return 0 end
  local before, after = redis.call('HGET', old, 'expires_at'), arguments.old_expires_at
  if not before or tonumber(after) < tonumber(before) then expire(old, after) end
end
redis.call('HSET', credential, 'record', arguments.record)
if arguments.expires_at ~= cjson.null then expire(credential, arguments.expires_at) end
redis.call('ZADD', index, 0, arguments.member)
write_audit(audit)
return 1
""",
    bool,
)

# Revokes a key. Deleting comes first: a Redis that is full refuses what begins with adding.
REVOKE_KEY: Script[RevocationKeys, RevocationArguments, bool] = Script(
    _AUDIT
    + """
local credential, index, audit = KEYS[1], KEYS[2], KEYS[3]
local existed = redis.call('DEL', credential)
redis.call('ZREM', index, arguments.member)
if existed == 1 then write_audit(audit) end
return existed
""",
    bool,
)
