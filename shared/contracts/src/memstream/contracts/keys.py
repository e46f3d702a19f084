"""Names of the keys in Redis. Keys of one partition share the hash tag `{p}`, so one script may use several of them."""

import re
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

Lane = Literal["live", "bulk"]
"""`live` is what somebody has just said, `bulk` is an import. An import never delays live messages."""

LANES: tuple[Lane, ...] = get_args(Lane)

GROUP = "embedder"
"""The consumer group of the embedder."""

TYPE_FIELD = "type"
"""Field of a stream entry: the event's type with its version."""

DATA_FIELD = "data"
"""Field of a stream entry: the event as JSON."""

MAX_PARTITIONS = 1024

_POSITION = re.compile(r"(\d{1,4})\.(live|bulk)\.(\d{1,20})-(\d{1,20})", re.ASCII)
_ENTRY = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
_ID_PART = 2**64
"""Upper bound of both numbers of an entry's id."""


def stream(partition: int, lane: Lane) -> str:
    """Return the stream of a partition's lane."""
    return f"memstream:{{{partition}}}:{lane}"


def last_entry(partition: int) -> str:
    """Return the key that holds the id of the entry that was appended last, to either of a partition's lanes."""
    return f"memstream:{{{partition}}}:last"


def partitioning(partition: int) -> str:
    """Return the key that holds the numbers of partitions that the installation has had, in each partition."""
    return f"memstream:{{{partition}}}:partitions"


def dead_letters(partition: int) -> str:
    """Return the stream of a partition's dead letters: entries that cannot be stored."""
    return f"memstream:{{{partition}}}:dead"


def letters(partition: int) -> str:
    """Return the hash that says which dead letter of a message may be replayed, by the hex of the message's UUID."""
    return f"memstream:{{{partition}}}:letters"


def letters_of(partition: int, owner: UUID) -> str:
    """Return the hash of a user's dead letters: the hex of the message's UUID by the letter's id."""
    return f"memstream:{{{partition}}}:letters:{owner.hex}"


def noted(partition: int) -> str:
    """Return the key of the last dead letter of a partition that was looked at, to be noted for its user."""
    return f"memstream:{{{partition}}}:noted"


def tombstones(partition: int) -> str:
    """Return the sorted set of a partition's tombstones: the last part of their keys, by when they may be removed."""
    return f"memstream:{{{partition}}}:tombstones"


def tombstone(partition: int, name: str) -> str:
    """Return the key of a tombstone, by its name in that set."""
    return f"memstream:{{{partition}}}:{name}"


def seen(partition: int, message: UUID) -> str:
    """Return the key that holds where a message was first appended, and what became of it (see `Seen`)."""
    return seen_by_hex(partition, message.hex)


def seen_by_hex(partition: int, message: str) -> str:
    """Return the same key, by the hex of the message's UUID."""
    return f"memstream:{{{partition}}}:seen:{message}"


def erased(partition: int, owner: UUID) -> str:
    """Return the key of a user's tombstone: the id of the entry in the live lane that requested the erasure."""
    return erased_by_hex(partition, owner.hex)


def erased_by_hex(partition: int, owner: str) -> str:
    """Return the same key, by the hex of the user's UUID."""
    return f"memstream:{{{partition}}}:erased:{owner}"


def erasure(partition: int, erasure_id: str) -> str:
    """Return the hash that holds the receipt of a deletion or an erasure."""
    return f"memstream:{{{partition}}}:erasure:{erasure_id}"


def purges(partition: int) -> str:
    """Return the hash that holds what is to be purged from a partition's streams, by the id of the erasure."""
    return f"memstream:{{{partition}}}:purges"


def purging(partition: int) -> str:
    """Return the key that names the worker which purges a partition."""
    return f"memstream:{{{partition}}}:purging"


def kept(partition: int) -> str:
    """Return the hash that holds, by stream, the time of the youngest entry whose bytes a purge left in memory."""
    return f"memstream:{{{partition}}}:kept"


REWRITTEN = "memstream:rewritten"
"""The key that exists while Redis' append-only file is not to be rewritten again."""


def credential(digest: str) -> str:
    """Return the hash that holds what an API key may do, by the hex SHA-256 of the key."""
    return f"memstream:credential:{digest}"


CREDENTIAL_INDEX = "memstream:credentials"
"""The sorted set of the keys that have an id, as `<id> <digest>`. Ids are in the order of their creation."""

AUDIT = "memstream:audit"
"""The stream of what operators did with keys."""

TENANTS = "memstream:tenants"
"""The set of the tenants that have a policy of their own."""

TENANT_DEFAULTS = "memstream:tenant-defaults"
"""The hash that holds the policy of tenants without one of their own."""


def tenant_policy(tenant: str) -> str:
    """Return the hash that holds a tenant's policy."""
    return f"memstream:tenant:{{{tenant}}}"


def tenant_bucket(tenant: str, limit: str) -> str:
    """Return the hash that holds the token bucket of one of a tenant's rates."""
    return f"memstream:tenant:{{{tenant}}}:bucket:{limit}"


def tenant_stored(tenant: str) -> str:
    """Return the hash that holds how many messages of a tenant were stored, and when they were counted."""
    return f"memstream:tenant:{{{tenant}}}:stored"


def tenant_appended(tenant: str, partition: int) -> str:
    """Return the hash that holds how many messages of a tenant were appended, by lane and time slot."""
    return f"memstream:tenant:{{{tenant}}}:appended:{partition}"


def expiry_by_hex(partition: int, message: str) -> str:
    """Return the key that holds a message's `expires_at` as long as its state is known, by the hex of its UUID."""
    return f"memstream:{{{partition}}}:expiry:{message}"


def collection_identity(collection: str) -> str:
    """Return the key of the identity of a collection in Qdrant: what stands here is never made anew."""
    return f"memstream:collection:{{{collection}}}"


def budget(name: str) -> str:
    """Return the hash that holds the rate limit budget of a provider."""
    return f"memstream:budget:{{{name}}}"


def budget_calls(name: str) -> str:
    """Return the sorted set of a provider's calls in flight, by the time at which they have ended at the latest."""
    return f"memstream:budget:{{{name}}}:calls"


@dataclass(frozen=True, slots=True)
class Position:
    """The position of an event: partition, lane and the entry's id in that stream."""

    partition: int
    lane: Lane
    entry_id: str

    def __str__(self) -> str:
        """Return it as clients see it: an opaque string."""
        return f"{self.partition}.{self.lane}.{self.entry_id}"

    @property
    def stream(self) -> str:
        """The stream that holds it."""
        return stream(self.partition, self.lane)

    @property
    def milliseconds(self) -> int:
        """When the entry was appended, by the server's clock."""
        return self.order[0]

    @property
    def order(self) -> tuple[int, int]:
        """The entry's id as two numbers, which sort as on the server."""
        return entry_order(self.entry_id)

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Parse what `str` returned.

        Raises:
            ValueError: it is not a position.

        """
        match = _POSITION.fullmatch(text)
        if match is None or int(match[1]) >= MAX_PARTITIONS or max(int(match[3]), int(match[4])) >= _ID_PART:
            raise ValueError(f"{text[:80]!r} is not a position that ingest gave out")
        lane: Lane = "live" if match[2] == "live" else "bulk"
        return cls(int(match[1]), lane, f"{match[3]}-{match[4]}")


def entry_order(entry_id: str) -> tuple[int, int]:
    """Return an entry's id (`milliseconds-sequence`) as numbers, which sort as on the server."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def is_entry_id(text: str) -> bool:
    """Return whether a text is the id of an entry, as the server writes it."""
    return _ENTRY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Seen:
    """The value of a seen-key: the first position of a message, and whether it is dead or deleted.

    Written as `<position>`, `<position> dead <entry id in the dead letters>` or `<position> deleted <erasure id>`.
    """

    position: Position
    dead_entry_id: str | None = None
    erasure_id: str | None = None

    def __str__(self) -> str:
        """Return it as it is stored in Redis."""
        if self.erasure_id:
            return f"{self.position} deleted {self.erasure_id}"
        return f"{self.position} dead {self.dead_entry_id}" if self.dead_entry_id else str(self.position)

    @classmethod
    def parse(cls, text: str) -> "Seen":
        """Parse what `str` returned.

        Raises:
            ValueError: it is not the value of a seen-key.

        """
        match text.split(" "):
            case [position]:
                return cls(Position.parse(position))
            case [position, "dead", entry_id] if _ENTRY.fullmatch(entry_id):
                return cls(Position.parse(position), entry_id)
            case [position, "deleted", erasure_id] if erasure_id:
                return cls(Position.parse(position), erasure_id=erasure_id)
            case _:
                raise ValueError(f"{text[:80]!r} is not the value of a seen-key")


def was_before(mark: str, entry_id: str) -> bool:
    """Return whether an entry was appended to its partition before a mark, the id of another entry, or is that one.

    Ids have one order over both lanes. `ERASURE_MARKS` of `memstream.streams` decides alike on the server.
    """
    return entry_order(entry_id) <= entry_order(mark)
