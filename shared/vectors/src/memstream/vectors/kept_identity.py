"""The identity of the collection, kept in Redis."""

from memstream.contracts import keys
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.vectors.store.identity import KeptIdentity

_PROPOSED, _RESTORING = "proposed:", "restoring:"


class KeptInRedis:
    """An `IdentityKeeper` for the collection of one name."""

    def __init__(self, client: Redis, collection: str) -> None:
        self._client = client
        self._key = keys.collection_identity(collection)

    async def read(self) -> KeptIdentity | None:
        """See `IdentityKeeper`."""
        with redis_faults():
            found = await self._client.get(self._key)
        if found is None:
            return None
        value = decoded(found)
        return KeptIdentity(
            value.removeprefix(_PROPOSED).removeprefix(_RESTORING),
            is_confirmed=not value.startswith(_PROPOSED),
            is_restoring=value.startswith(_RESTORING),
        )

    async def propose(self, value: str) -> None:
        """See `IdentityKeeper`."""
        with redis_faults():
            await self._client.set(self._key, _PROPOSED + value, nx=True)

    async def confirm(self, value: str) -> None:
        """See `IdentityKeeper`."""
        with redis_faults():
            await self._client.set(self._key, value)

    async def begin_restoring(self, value: str) -> None:
        """See `IdentityKeeper`."""
        with redis_faults():
            await self._client.set(self._key, _RESTORING + value)
