"""Until when all of the streams is in Qdrant: noted there, so that every snapshot says from when on to read again."""

from collections.abc import Sequence
from typing import Any

from memstream.contracts import keys
from memstream.embedder.streams import SourceStream
from memstream.runtime.errors import GlobalFault
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.groups import missing_group
from memstream.vectors.store import DEPENDENCY, MemoryStore

_NOTHING = "0-0"


class RestorePoint:
    """Notes it, and sets the group back to it."""

    def __init__(self, client: Redis, sources: Sequence[SourceStream]) -> None:
        self._client = client
        self._sources = sources

    async def note(self, store: MemoryStore) -> None:
        """Note until when every entry of every stream is acknowledged.

        Raises:
            Unavailable, GlobalFault: Redis or Qdrant is out of reach, or refuses it.

        """
        # Read before it is noted: what is acknowledged by then is in every snapshot that has the note.
        settled = [await self._settled(source.name) for source in self._sources]
        await store.note_settled(min(settled))

    async def read_again(self, milliseconds: int, replay_window: float, *, partially: bool) -> None:
        """Have the group read everything again that was appended from a time on.

        Raises:
            GlobalFault: entries since then may have been trimmed, and `partially` does not accept that.
            Unavailable: Redis is out of reach, or the group is missing.

        """
        with redis_faults():
            seconds, _ = await self._client.time()
        if not partially and milliseconds < (seconds - replay_window) * 1000:
            raise GlobalFault(
                DEPENDENCY,
                "the snapshot is older than the replay window, so the streams may lack what came in between: "
                "restore a later one, or give --partially",
            )
        with redis_faults():
            for source in self._sources:
                await self._client.xgroup_setid(source.name, keys.GROUP, f"{max(0, milliseconds - 1)}-0")

    async def _settled(self, stream: str) -> int:
        """Return the time before which all entries of a stream are acknowledged; milliseconds of the server's clock."""
        with redis_faults():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.time()
                pipe.xinfo_stream(stream)
                pipe.xinfo_groups(stream)
                pipe.xpending(stream, keys.GROUP)
                answers: list[Any] = await pipe.execute()
        (seconds, _), described, groups, pending = answers
        delivered = next((one["last-delivered-id"] for one in groups if one["name"] == keys.GROUP.encode()), None)
        if delivered is None:
            raise missing_group(stream)
        last = keys.entry_order(decoded(described["last-generated-id"]))
        reached = keys.entry_order(decoded(delivered))
        # A clock that was set back is behind the ids.
        settled = max(seconds * 1000, last[0]) if reached >= last else reached[0]
        if pending["pending"]:
            settled = min(settled, keys.entry_order(decoded(pending["min"] or _NOTHING))[0])
        return settled
