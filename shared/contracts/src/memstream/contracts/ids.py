"""Who a message belongs to, where it goes, and what it is called once stored."""

import hashlib
import unicodedata
import uuid
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, ValidationInfo

from memstream.contracts.limits import DEFAULT_LIMITS, Limits

POINT_NAMESPACE = uuid.UUID("6d1d6d5c-51a5-5c0f-9b0e-0d6f6a1f3c57")
"""Namespace of every UUIDv5 made here. It never changes: the ids of stored points hang on it."""

SHARED_USER = "*"
"""Reserved user id: the documents that belong to all users of a tenant. Nobody asks as this user."""

_OWNERS = 8192
"""Users whose names are remembered once they are worked out: those that talk now."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
"""The digit that holds a UUID's variant, by what stands there in the digest."""
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def limits_of(info: ValidationInfo) -> Limits:
    """Give the limits a validation was called with, or the defaults."""
    context = info.context
    limits = context.get("limits") if isinstance(context, dict) else None
    return limits if isinstance(limits, Limits) else DEFAULT_LIMITS


def _id(value: str, info: ValidationInfo) -> str:
    limit = limits_of(info).id_bytes
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


Id = Annotated[str, StringConstraints(min_length=1, strict=True), AfterValidator(_id)]
"""An id or a label of the caller's: 1 to 256 bytes of printable UTF-8, kept exactly as given."""

UserId = Annotated[Id, AfterValidator(_user_id)]
"""A user's id within a tenant."""

Tenant = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
"""A tenant's name. Its alphabet has no slash, so `tenant/user` can be read in one way only."""


def owner(tenant: str, user_id: str) -> str:
    """Name a tenant's user as one keyword: the value every stored point is filtered by."""
    return f"{tenant}/{user_id}"


def is_shared(name: str) -> bool:
    """Say whether an owner's name is that of all users of a tenant."""
    return name.partition("/")[2] == SHARED_USER


@lru_cache(_OWNERS)
def partition(tenant: str, user_id: str, partitions: int) -> int:
    """Choose the partition of an owner's messages, 0 to `partitions` - 1, alike in every process and release."""
    digest = hashlib.blake2b(owner(tenant, user_id).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % partitions


def message_key(tenant: str, user_id: str, message_id: str) -> uuid.UUID:
    """Name a message within the whole installation. Ids hold no NUL, so the parts can't run into each other."""
    return uuid.uuid5(POINT_NAMESPACE, f"{tenant}\0{user_id}\0{message_id}")


def message_hex(tenant: str, user_id: str, message_id: str) -> str:
    """Give the hex of `message_key`, at a fraction of its price."""
    return _uuid5_hex(f"{tenant}\0{user_id}\0{message_id}")


@lru_cache(_OWNERS)
def owner_key(tenant: str, user_id: str) -> uuid.UUID:
    """Name a tenant's user within the whole installation, in a fixed size."""
    return uuid.uuid5(POINT_NAMESPACE, f"{tenant}\0{user_id}")


def owner_hex(tenant: str, user_id: str) -> str:
    """Give the hex of `owner_key`, at a fraction of its price."""
    return _uuid5_hex(f"{tenant}\0{user_id}")


def _uuid5_hex(name: str) -> str:
    """Make a name as RFC 9562 does, section 5.5."""
    digest = hashlib.sha1(POINT_NAMESPACE.bytes + name.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:12]}5{digest[13:16]}{_VARIANT[digest[16]]}{digest[17:32]}"


def point_id(tenant: str, user_id: str, message_id: str, chunk: int) -> uuid.UUID:
    """Name the stored point of a message's chunk (0, 1, …): storing it again overwrites it."""
    return uuid.uuid5(POINT_NAMESPACE, f"{tenant}\0{user_id}\0{message_id}\0{chunk}")


def new_message_id(now: datetime, chance: Random) -> str:
    """Make a UUIDv7 (RFC 9562, section 5.7): ids made later sort later, to the millisecond."""
    milliseconds = (now - _EPOCH) // timedelta(milliseconds=1)
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | chance.getrandbits(12) << 64
    return str(uuid.UUID(int=value | 0b10 << 62 | chance.getrandbits(62)))
