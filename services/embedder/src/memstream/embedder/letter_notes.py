"""Dead letters of older releases are noted for their users, so that they go with a deletion."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from memstream.contracts import ids, keys
from memstream.contracts.events import MessageRecorded, decode_event
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.dead_letter_scripts import NOTE_LETTER, LetterArguments, LetterKeys
from memstream.streams.scripts import ScriptCall, Scripts

_LETTERS_AT_ONCE = 100
"""Letters read at once. One may have a text of 64 KiB."""

_PAGES_PER_TURN = 100
"""So that a turn ends, however many letters there are."""

_DATA = b"original:" + keys.DATA_FIELD.encode()


class LetterNotes:
    """Notes dead letters that an older release wrote. Those of this one are noted."""

    def __init__(self, client: Redis, partitions: Sequence[int]) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._partitions = partitions

    async def note(self) -> None:
        """Go on where any worker has come to: each letter is looked at once, and a part of many at a time.

        Raises:
            Unavailable: Redis is out of reach.

        """
        pages = _PAGES_PER_TURN
        for partition in self._partitions:
            while pages and await self._note_some(partition):
                pages -= 1

    async def _note_some(self, partition: int) -> bool:
        with redis_faults():
            last = await self._client.get(keys.noted(partition))
            letters: Any = await self._client.xrange(
                keys.dead_letters(partition), min="-" if last is None else f"({decoded(last)}", count=_LETTERS_AT_ONCE
            )
        calls = [call for letter_id, fields in letters if (call := _note(partition, decoded(letter_id), fields))]
        if calls:
            await self._scripts.run_all(calls)
        if letters:
            with redis_faults():
                await self._client.set(keys.noted(partition), letters[-1][0])
        return len(letters) == _LETTERS_AT_ONCE


def _note(partition: int, letter_id: str, fields: dict[bytes, bytes]) -> ScriptCall[bool] | None:
    """Return the call that notes a letter; None if it is not known whose it is."""
    try:
        event = decode_event(fields[_DATA])
    except (KeyError, ValidationError):
        return None
    entry_id = fields.get(b"entry_id", b"").decode()
    if not isinstance(event, MessageRecorded) or not keys.is_entry_id(entry_id):
        return None
    owner = ids.owner_key(event.tenant, event.user_id)
    names = LetterKeys(
        keys.dead_letters(partition),
        keys.letters(partition),
        keys.letters_of(partition, owner),
        keys.seen(partition, ids.message_key(event.tenant, event.user_id, event.message_id)),
        keys.erased(partition, owner),
    )
    return NOTE_LETTER.call(names, LetterArguments(letter_id, entry_id))
