"""Tombstones that are of no use any more are removed, and dead letters of older releases are noted for their users."""

from collections.abc import Sequence
from typing import Any

import redis.exceptions
from pydantic import ValidationError

from memstream.contracts import ids, keys
from memstream.contracts.events import MessageRecorded, decode_event
from memstream.embedder.streams import SourceStream
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.dead_letter_scripts import NOTE_LETTER, LetterArguments, LetterKeys
from memstream.streams.scripts import ScriptCall, Scripts
from memstream.streams.stream_scripts import REMOVE_TOMBSTONES, RemovalArguments, TombstoneKeys

_AT_ONCE = 500
_LETTERS_AT_ONCE = 100
_DATA = b"original:" + keys.DATA_FIELD.encode()


class TombstoneSweep:
    """Removes tombstones whose time is over, unless an entry from before that waits to be stored.

    Any number of workers may do so at once.
    """

    def __init__(self, client: Redis, sources: Sequence[SourceStream]) -> None:
        self._client = client
        self._partitions = sorted({source.partition for source in sources})
        self._scripts = Scripts(client)

    async def sweep(self) -> None:
        """Look through all partitions once. One whose streams lack their group is left as it is.

        Raises:
            Unavailable: Redis is out of reach.

        """
        for partition in self._partitions:
            with redis_faults():
                before = await self._oldest_unsettled(partition)
            if before is not None:
                await self._remove(partition, before)

    async def _remove(self, partition: int, before: int) -> None:
        names = [decoded(name) for name in await self._over(partition, before)]
        while names:
            found = TombstoneKeys(keys.tombstones(partition), [keys.tombstone(partition, name) for name in names])
            await self._scripts.run(REMOVE_TOMBSTONES.call(found, RemovalArguments(before), names))
            names = [decoded(name) for name in await self._over(partition, before)]

    async def _over(self, partition: int, before: int) -> list[bytes]:
        with redis_faults():
            found: Any = await self._client.zrangebyscore(
                keys.tombstones(partition), "-inf", f"({before}", start=0, num=_AT_ONCE
            )
        return list(found)

    async def _oldest_unsettled(self, partition: int) -> int | None:
        """Return when the oldest entry of both lanes was appended that is not acknowledged, or the time now."""
        seconds, microseconds = await self._client.time()
        appended = [int(seconds) * 1000 + int(microseconds) // 1000]
        for lane in keys.LANES:
            stream = keys.stream(partition, lane)
            try:
                groups: Any = await self._client.xinfo_groups(stream)
                pending: Any = await self._client.xpending(stream, keys.GROUP)
            except redis.exceptions.ResponseError as error:
                if str(error).startswith(("NOGROUP", "no such key")):
                    return None
                raise
            delivered = next(decoded(one["last-delivered-id"]) for one in groups if one["name"] == keys.GROUP.encode())
            following: Any = await self._client.xrange(stream, min=f"({delivered}", count=1)
            waiting = [entry_id for entry_id, _ in following] + ([pending["min"]] if pending["pending"] else [])
            appended += [keys.entry_order(decoded(entry_id))[0] for entry_id in waiting]
        return min(appended)


class LetterNotes:
    """Notes dead letters that an older release wrote, so that they go with a deletion. Those of this one are noted."""

    def __init__(self, client: Redis, partitions: Sequence[int]) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._after = dict.fromkeys(partitions, "-")

    async def note(self) -> None:
        """Look at all letters once, and later at those that are new.

        Raises:
            Unavailable: Redis is out of reach.

        """
        for partition in self._after:
            while await self._note_some(partition):
                pass

    async def _note_some(self, partition: int) -> bool:
        with redis_faults():
            letters: Any = await self._client.xrange(
                keys.dead_letters(partition), min=self._after[partition], count=_LETTERS_AT_ONCE
            )
        calls = [call for letter_id, fields in letters if (call := _note(partition, decoded(letter_id), fields))]
        if calls:
            await self._scripts.run_all(calls)
        if letters:
            self._after[partition] = f"({decoded(letters[-1][0])}"
        return len(letters) == _LETTERS_AT_ONCE


def _note(partition: int, letter_id: str, fields: dict[bytes, bytes]) -> ScriptCall[bool] | None:
    """Return the call that notes a letter; None if it is not known whose it is."""
    try:
        event = decode_event(fields[_DATA])
    except (KeyError, ValidationError):
        return None
    stream, entry_id = fields.get(b"stream", b"").decode(), fields.get(b"entry_id", b"").decode()
    lane = next((lane for lane in keys.LANES if keys.stream(partition, lane) == stream), None)
    if not isinstance(event, MessageRecorded) or lane is None or not keys.is_entry_id(entry_id):
        return None
    owner = ids.owner_key(event.tenant, event.user_id)
    names = LetterKeys(
        keys.dead_letters(partition),
        keys.letters(partition),
        keys.letters_of(partition, owner),
        keys.seen(partition, ids.message_key(event.tenant, event.user_id, event.message_id)),
        keys.erased(partition, owner),
    )
    return NOTE_LETTER.call(names, LetterArguments(letter_id, entry_id, lane))
