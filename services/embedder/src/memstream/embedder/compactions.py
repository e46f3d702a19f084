"""What waits for a compaction after a purge: bytes that no request reaches, until a store rewrites its files."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pydantic_core import to_json

from memstream.contracts import keys
from memstream.contracts.messages import StoreName, WaitingStore
from memstream.embedder.purges import Purge, State
from memstream.runtime.clock import Clock
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.purge_scripts import NOTE_PURGE, NoteArguments, NoteKeys
from memstream.streams.scripts import Scripts

_WITHOUT_PAUSE = 100
"""Purges that are checked before others get the event loop."""

Kept = dict[str, int]
"""Streams whose memory still has bytes of removed entries, and when the youngest of these was appended, in ms."""


class CompactedStore(Protocol):
    """A store that keeps bytes of what was deleted until it is compacted."""

    name: StoreName

    async def look(self) -> None:
        """Read how far the store is, once for all purges that are asked about afterwards."""
        ...

    def begin(self, kept: Kept) -> State | None:
        """Return what to remember of a purge that has just been done; None if nothing waits."""
        ...

    def check(self, state: State) -> State | None:
        """Return what to remember from now on; None once the store is known to have none of the bytes."""
        ...

    async def compact(self) -> None:
        """Have the store compacted, if a purge that was asked about needs that and the store can be told."""
        ...


class Compactions:
    """Follows purges through all stores, and writes what waits into their receipts."""

    def __init__(self, client: Redis, stores: Sequence[CompactedStore], clock: Clock) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._stores = stores
        self._clock = clock

    async def begin(self, partition: int, purged: Sequence[Purge], *, former: Sequence[int] = ()) -> None:
        """Note that purges were done in the streams, and begin to wait for the stores.

        `former` are the partitions that the users of this one were in before; they were purged, too.

        Raises:
            Unavailable: Redis or Qdrant cannot be reached.

        """
        if not purged:
            return
        kept: Kept = {}
        with redis_faults():
            for place in (partition, *former):
                noted = await self._client.hgetall(keys.kept(place))
                kept |= {decoded(stream): int(milliseconds) for stream, milliseconds in noted.items()}
        await self._look()
        for purge in purged:
            waiting = {store.name: state for store in self._stores if (state := store.begin(kept)) is not None}
            await self._note(partition, purge, waiting)

    async def check(self, partition: int, purges: Sequence[Purge]) -> None:
        """Ask the stores about purges that wait, and note what has changed.

        Raises:
            Unavailable: Redis or Qdrant cannot be reached.

        """
        if not purges:
            return
        await self._look()
        for number, purge in enumerate(purges):
            if number % _WITHOUT_PAUSE == 0:
                await self._clock.sleep(0)
            before = purge.waiting or {}
            waiting: dict[StoreName, State] = {}
            for store in self._stores:
                if store.name in before and (state := store.check(before[store.name])) is not None:
                    waiting[store.name] = state
            if waiting != before:
                await self._note(partition, purge, waiting)
        for store in self._stores:
            await store.compact()

    async def _look(self) -> None:
        for store in self._stores:
            await store.look()

    async def _note(self, partition: int, purge: Purge, waiting: dict[StoreName, State]) -> None:
        names = NoteKeys(keys.purges(partition), keys.erasure(partition, purge.erasure_id))
        listed = [
            WaitingStore.model_validate({"store": name, "until": state.get("until")}) for name, state in waiting.items()
        ]
        # What nobody can ever find out is not asked again.
        is_over = all(state.get("is_final") for state in waiting.values())
        left = "" if is_over else purge.model_copy(update={"waiting": waiting}).model_dump_json()
        arguments = NoteArguments(purge.erasure_id, self._clock.now().isoformat(), to_json(listed).decode())
        await self._scripts.run(NOTE_PURGE.call(names, arguments, [left]))


def after_window(milliseconds: int, window: timedelta) -> str:
    """Return when an entry of this time has left its stream."""
    return (datetime.fromtimestamp(milliseconds / 1000, UTC) + window).isoformat()
