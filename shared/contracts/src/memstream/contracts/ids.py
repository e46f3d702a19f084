"""Ids: of the caller, of a message's owner, and of what is stored for it."""

import hashlib
import unicodedata
import uuid
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, ValidationInfo, WithJsonSchema

from memstream.contracts.limits import DEFAULT_LIMITS, Limits

POINT_NAMESPACE = uuid.UUID("6d1d6d5c-51a5-5c0f-9b0e-0d6f6a1f3c57")
"""Namespace of every UUIDv5 made here. It never changes: the ids of stored points depend on it."""

SHARED_USER = "*"
"""Reserved user id: the documents that belong to all users of a tenant. No search is made as this user."""

_CACHED_OWNERS = 8192
"""Active users whose names are cached."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
"""The digit that holds a UUID's variant, by the digit at its place in the digest."""
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def limits_in_force(info: ValidationInfo) -> Limits:
    """Return the limits in a validation's context, or the defaults."""
    context = info.context
    limits = context.get("limits") if isinstance(context, dict) else None
    return limits if isinstance(limits, Limits) else DEFAULT_LIMITS


def _id(value: str, info: ValidationInfo) -> str:
    limit = limits_in_force(info).id_bytes
    size = len(value.encode())
    if size > limit:
        raise ValueError(f"is {size} bytes of UTF-8, the limit is {limit}")
    if value.isascii() and value.isprintable():
        return value
    for character in value:
        if unicodedata.category(character) in _UNPRINTABLE:
            raise ValueError(f"holds the unprintable character U+{ord(character):04X}")
    return value


def _user_id(value: str) -> str:
    if value == SHARED_USER:
        raise ValueError(f"{SHARED_USER!r} is reserved for the documents of all users")
    return value


_ID_SCHEMA = {
    "type": "string",
    "minLength": 1,
    "maxLength": DEFAULT_LIMITS.id_bytes,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$",
}
"""Characters are counted here and bytes of UTF-8 by the validator, which JSON Schema has no word for."""

Id = Annotated[str, StringConstraints(min_length=1, strict=True), AfterValidator(_id), WithJsonSchema(_ID_SCHEMA)]
"""An id or a label of the caller's: 1 to 256 bytes of printable UTF-8, kept exactly as given."""

UserId = Annotated[Id, AfterValidator(_user_id), WithJsonSchema({**_ID_SCHEMA, "not": {"const": SHARED_USER}})]
"""A user's id within a tenant."""

Tenant = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
"""A tenant's name. Its alphabet has no slash, so `tenant/user` is unambiguous."""


def owner(tenant: str, user_id: str) -> str:
    """Return a tenant's user as one keyword: the value that every query filters by."""
    return f"{tenant}/{user_id}"


def is_shared(name: str) -> bool:
    """Return whether an owner is all users of a tenant."""
    return name.partition("/")[2] == SHARED_USER


@lru_cache(_CACHED_OWNERS)
def partition(tenant: str, user_id: str, partitions: int) -> int:
    """Return the partition of an owner's messages, 0 to `partitions` - 1, the same in every process and release."""
    digest = hashlib.blake2b(owner(tenant, user_id).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % partitions


def message_key(tenant: str, user_id: str, message_id: str) -> uuid.UUID:
    """Return the name of a message within the installation. Ids hold no NUL, so the parts cannot be confused."""
    return uuid.uuid5(POINT_NAMESPACE, f"{tenant}\0{user_id}\0{message_id}")


def message_hex(tenant: str, user_id: str, message_id: str) -> str:
    """Return the hex of `message_key`, at a fraction of its cost."""
    return _uuid5_hex(f"{tenant}\0{user_id}\0{message_id}")


@lru_cache(_CACHED_OWNERS)
def owner_key(tenant: str, user_id: str) -> uuid.UUID:
    """Return the name of a tenant's user within the installation, in a fixed size."""
    return uuid.uuid5(POINT_NAMESPACE, f"{tenant}\0{user_id}")


def owner_hex(tenant: str, user_id: str) -> str:
    """Return the hex of `owner_key`, at a fraction of its cost."""
    return _uuid5_hex(f"{tenant}\0{user_id}")


def _uuid5_hex(name: str) -> str:
    """Return the hex of a UUIDv5 (RFC 9562, section 5.5)."""
    digest = hashlib.sha1(POINT_NAMESPACE.bytes + name.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:12]}5{digest[13:16]}{_VARIANT[digest[16]]}{digest[17:32]}"


def point_id(tenant: str, user_id: str, message_id: str, chunk: int) -> uuid.UUID:
    """Return the id of the stored point of a message's chunk (0, 1, …): storing it again overwrites it."""
    return uuid.uuid5(POINT_NAMESPACE, f"{tenant}\0{user_id}\0{message_id}\0{chunk}")


def new_message_id(now: datetime, rng: Random) -> str:
    """Return a new UUIDv7 (RFC 9562, section 5.7). Later ids sort later, to the millisecond."""
    milliseconds = (now - _EPOCH) // timedelta(milliseconds=1)
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | rng.getrandbits(12) << 64
    return str(uuid.UUID(int=value | 0b10 << 62 | rng.getrandbits(62)))
