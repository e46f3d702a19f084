"""What is to be purged from the streams: the entries of deleted messages and of erased users. Pure."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from memstream.contracts import keys
from memstream.contracts.events import MessageRecorded
from memstream.contracts.messages import StoreName

State = dict[str, Any]
"""What a store has to remember of a purge until its files are clean; `until` is a time, where one is known."""


class Purge(BaseModel):
    """A deletion that was carried out in Qdrant, and whose words are to leave the streams and all files.

    Kept in Redis until nothing is left to do, so that any worker can go on with it.
    """

    model_config = ConfigDict(frozen=True)

    erasure_id: str
    tenant: str
    user_id: str
    message_id: str | None = None
    """None: all messages of the user."""
    mark: str
    """The id of the request's entry: what was appended later stays."""
    waiting: dict[StoreName, State] | None = None
    """By store, what still waits for a compaction; None before the streams are purged."""


class _Subject(BaseModel):
    """Whose message an entry has."""

    type: str
    tenant: str
    user_id: str
    message_id: str = ""


_RECORDED: str = MessageRecorded.model_fields["type"].default


class PurgeIndex:
    """Finds the purges that an entry belongs to, in a time that hardly grows with their number."""

    def __init__(self, purges: Iterable[Purge]) -> None:
        scopes: defaultdict[tuple[str, str, str | None], list[Purge]] = defaultdict(list)
        for purge in purges:
            scopes[purge.tenant, purge.user_id, purge.message_id].append(purge)
        self._scopes = {
            scope: sorted(same, key=lambda purge: keys.entry_order(purge.mark)) for scope, same in scopes.items()
        }

    def find(self, data: bytes, entry_id: str) -> list[Purge]:
        """Return the purges that cover an entry: of its user and of its message, each the earliest that does.

        Requests to delete have no text, and stay: a Qdrant that is restored from a snapshot is brought up to date by
        replaying the stream, and these must be carried out again.
        """
        try:
            subject = _Subject.model_validate_json(data)
        except ValidationError:
            return []
        if subject.type != _RECORDED:
            return []
        found = []
        for scope in (None, subject.message_id):
            same = self._scopes.get((subject.tenant, subject.user_id, scope), [])
            first = bisect_left(same, True, key=lambda purge: keys.was_before(purge.mark, entry_id))  # noqa: FBT003 - what is looked for
            found += same[first : first + 1]
        return found

    @property
    def last_mark(self) -> str:
        """The mark up to which entries may belong to a purge."""
        return max((same[-1].mark for same in self._scopes.values()), key=keys.entry_order)

    def with_later(self, erasure_ids: set[str]) -> set[str]:
        """Return these and all later ones of the same scope, since what one covers, these cover, too."""
        found: set[str] = set()
        for same in self._scopes.values():
            first = next((i for i, purge in enumerate(same) if purge.erasure_id in erasure_ids), len(same))
            found.update(purge.erasure_id for purge in same[first:])
        return found
