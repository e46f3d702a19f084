"""A collection that is restored from a snapshot, while services wait for it."""

from dataclasses import dataclass

from qdrant_client import models

from memstream.runtime.errors import GlobalFault
from memstream.vectors.store.memory import DEPENDENCY
from memstream.vectors.store.qdrant.collection import Collection
from memstream.vectors.store.qdrant.faults import qdrant_faults
from memstream.vectors.store.qdrant.identity import CHECK_SECONDS, SETTLED, Identification, Marks


@dataclass(frozen=True, slots=True)
class Restoration:
    """Restores one collection. In a cluster, `collection` is asked through one of its nodes."""

    collection: Collection
    identification: Identification

    async def recover(self, location: str, *, replace: bool) -> int | None:
        """Recover a snapshot from a URL that Qdrant can read; return until when all entries are in it, in milliseconds.

        Services are not ready until `finish`: a snapshot that is half read looks like a collection. With `replace`, a
        collection that is there is deleted first. None: a release made it that did not note the time.

        Raises:
            GlobalFault: there is a collection, or the snapshot is none of this installation's, or none.
            Unavailable: Qdrant or Redis is out of reach.

        """
        client, name, keeper = self.collection.client, self.collection.name, self.identification.keeper
        kept = await keeper.read()
        with qdrant_faults():
            if await client.collection_exists(name):
                if not replace:
                    raise GlobalFault(DEPENDENCY, f"there is a collection {name!r}: give --replace to delete it")
                await self._begin(None if kept is None else kept.value)
                await client.delete_collection(name)
            else:
                await self._begin(None if kept is None else kept.value)
            await client.recover_snapshot(name, location, priority=models.SnapshotPriority.SNAPSHOT, wait=True)
            info = await client.get_collection(name)
        marks = Marks.read(info.config.metadata)
        if kept is not None and kept.is_confirmed and marks.identity not in (None, kept.value):
            raise GlobalFault(DEPENDENCY, "the snapshot is not of this installation's collection: restore another one")
        settled = (info.config.metadata or {}).get(SETTLED)
        return settled if isinstance(settled, int) else None

    async def finish(self) -> None:
        """Let the services use the collection: its points are there, and what came later is about to be read again.

        Raises:
            Unavailable, GlobalFault: Qdrant or Redis is out of reach.

        """
        keeper, client, name = self.identification.keeper, self.collection.client, self.collection.name
        kept = await keeper.read()
        with qdrant_faults():
            marks = Marks.read((await client.get_collection(name)).config.metadata)
            identity = marks.identity or (kept.value if kept is not None else self.identification.new_identity())
            if marks.identity is None:
                await client.update_collection(name, metadata=Marks(identity, marks.has_terms).written())
        await keeper.confirm(identity)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.collection.aclose()

    async def _begin(self, identity: str | None) -> None:
        await self.identification.keeper.begin_restoring(identity or self.identification.new_identity())
        # Until then, a worker may take the collection for the one that it saw last.
        await self.identification.clock.sleep(CHECK_SECONDS + 1)
