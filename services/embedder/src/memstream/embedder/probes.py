"""Probes of the servers: whether they take a valid input."""

from memstream.runtime.errors import GlobalFault, Rejected
from memstream.vectors.embeddings import DEPENDENCY as EMBEDDINGS
from memstream.vectors.embeddings.metering import MeteredEmbeddings
from memstream.vectors.store import MemoryStore


class ServerProbes:
    """Tries the embeddings server and Qdrant."""

    def __init__(self, store: MemoryStore, embeddings: MeteredEmbeddings) -> None:
        self._store = store
        self._embeddings = embeddings

    async def try_embeddings(self) -> None:
        """Raise unless a word can be embedded.

        Raises:
            GlobalFault: the key, the model or the dimensions are wrong. It would fail for any message.
            Unavailable: the server is out of reach.

        """
        try:
            await self._embeddings.embed(["ready"], "live")
        except Rejected as error:
            raise GlobalFault(EMBEDDINGS, error.reason) from error

    async def try_all(self) -> None:
        """Raise unless the collection is usable and a word can be embedded.

        Raises:
            GlobalFault: a setting or the collection is wrong.
            Unavailable: a server is out of reach.

        """
        await self._store.ensure()
        await self.try_embeddings()
