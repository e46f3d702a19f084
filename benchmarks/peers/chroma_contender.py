"""Chroma as a contender: its store within the process, its function for OpenAI's embeddings, its telemetry off.

python -m benchmarks.peers.chroma_contender EMBEDDINGS_URL MODEL, and the server's key in OPENAI_API_KEY
"""

import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import chromadb
from chromadb.utils.embedding_functions import OpenAIEmbeddingFunction

from benchmarks.peers.orders import Message, carry_out

_BATCH = 100


class Chroma:
    """A `Memory` in Chroma."""

    def __init__(self, embeddings_url: str, model: str) -> None:
        """Open it in a new folder; nothing goes anywhere but to the embeddings server."""
        client = chromadb.PersistentClient(
            tempfile.mkdtemp(prefix="chroma-"), settings=chromadb.Settings(anonymized_telemetry=False)
        )
        embed = OpenAIEmbeddingFunction(api_key_env_var="OPENAI_API_KEY", api_base=embeddings_url, model_name=model)
        self._collection = client.create_collection(
            "messages", embedding_function=embed, configuration={"hnsw": {"space": "cosine"}}
        )

    def add(self, messages: Sequence[Message]) -> None:
        """See `Memory`."""
        for start in range(0, len(messages), _BATCH):
            batch = messages[start : start + _BATCH]
            self._collection.add(
                ids=[f"{message['user_id']}/{message['message_id']}" for message in batch],
                documents=[message["text"] for message in batch],
                metadatas=[{name: message[name] for name in ("user_id", "message_id")} for message in batch],
            )

    def search(self, user_id: str, question: str, limit: int) -> Any:  # noqa: ANN401 - as Chroma returns it
        """See `Memory`."""
        return self._collection.query(query_texts=[question], n_results=limit, where={"user_id": user_id})

    def ids(self, answer: Any) -> list[str]:  # noqa: ANN401
        """See `Memory`."""
        return [one["message_id"] for one in answer["metadatas"][0]]


if __name__ == "__main__":
    carry_out(Chroma(sys.argv[1], sys.argv[2]), "chromadb")
