"""mem0 as a contender: its library without a language model (`infer=False`), its telemetry off.

    python -m benchmarks.peers.mem0_contender QDRANT_URL EMBEDDINGS_URL MODEL DIMENSIONS, with MEM0_TELEMETRY=False,
    and the servers' keys in QDRANT_API_KEY and OPENAI_API_KEY

Its words (BM25) and its entities need models from a hub. Without them, as here, it compares cosines only.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from mem0 import Memory
from mem0.memory.telemetry import MEM0_TELEMETRY
from qdrant_client import QdrantClient, models

from benchmarks.peers.orders import Message, carry_out

_COLLECTION = "mem0"
_VECTOR = "text"


class NamedVectorClient(QdrantClient):
    """Names the vector that mem0 leaves unnamed, since the local stack's Qdrant takes named ones only."""

    def get_collections(self, **_options: Any) -> models.CollectionsResponse:  # noqa: ANN401 - as the library's
        """Return the one collection that is asked for, if it exists."""
        names = [_COLLECTION] if self.collection_exists(_COLLECTION) else []
        return models.CollectionsResponse(collections=[models.CollectionDescription(name=name) for name in names])

    def create_collection(self, *_names: Any, **options: Any) -> Any:  # noqa: ANN401
        """Create a collection with the vector named, and without what would place it on a disk."""
        unnamed = options.pop("vectors_config")
        named = models.VectorParams(size=unnamed.size, distance=unnamed.distance)
        return super().create_collection(options.pop("collection_name"), {_VECTOR: named}, **options)

    def upsert(self, *_names: Any, **options: Any) -> Any:  # noqa: ANN401
        """Store points with the vector named."""
        for point in options["points"]:
            point.vector = {name or _VECTOR: vector for name, vector in point.vector.items()}
        return super().upsert(**options)

    def query_points(self, *_names: Any, **options: Any) -> Any:  # noqa: ANN401
        """Compare the named vector. As a batch of one query: the local stack's Qdrant takes queries in batches only."""
        collection, query_filter = options.pop("collection_name"), options.pop("query_filter")
        request = models.QueryRequest(using=_VECTOR, filter=query_filter, with_payload=True, **options)
        (found,) = self.query_batch_points(collection, [request])
        return found


class Mem0:
    """A `Memory` in mem0."""

    def __init__(self, qdrant_url: str, embeddings_url: str, model: str, dimensions: int) -> None:
        """Open it; nothing goes anywhere but to these two servers."""
        client = NamedVectorClient(
            url=qdrant_url, headers={"api-key": os.environ["QDRANT_API_KEY"]}, check_compatibility=False
        )
        store = {"client": client, "collection_name": _COLLECTION, "embedding_model_dims": dimensions}
        embedder = {"model": model, "openai_base_url": embeddings_url, "api_key": os.environ["OPENAI_API_KEY"]}
        self._memory = Memory.from_config(
            {
                "vector_store": {"provider": "qdrant", "config": store},
                "embedder": {"provider": "openai", "config": embedder},
                "history_db_path": f"{tempfile.mkdtemp(prefix='mem0-')}/history.db",
            }
        )

    def add(self, messages: Sequence[Message]) -> None:
        """See `Memory`."""
        for message in messages:
            said = {"role": message.get("role", "user"), "content": message["text"]}
            if message.get("speaker"):
                said["name"] = message["speaker"]
            named = {"message_id": message["message_id"]}
            self._memory.add([said], user_id=message["user_id"], metadata=named, infer=False)

    def search(self, user_id: str, question: str, limit: int) -> Any:  # noqa: ANN401 - as mem0 returns it
        """See `Memory`. Without its least score of 0.1, which would leave evidence out."""
        return self._memory.search(question, filters={"user_id": user_id}, top_k=limit, threshold=0.0)

    def ids(self, answer: Any) -> list[str]:  # noqa: ANN401
        """See `Memory`."""
        return [one["metadata"]["message_id"] for one in answer["results"]]


if __name__ == "__main__":
    if MEM0_TELEMETRY:
        sys.exit("mem0's telemetry is on: set MEM0_TELEMETRY=False")
    carry_out(Mem0(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])), "mem0ai")
