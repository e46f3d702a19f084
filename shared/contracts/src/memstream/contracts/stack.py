"""The file that tells the command and other tools where a running local stack is."""

from pydantic import BaseModel


class StackProcess(BaseModel):
    """A process of the stack."""

    name: str
    pid: int


class Stack(BaseModel):
    """`stack.json`: written once every process is ready, removed at shutdown, readable by its owner alone."""

    ingest_url: str
    retriever_url: str
    redis_url: str
    """With the password."""
    qdrant_url: str
    qdrant_api_key: str | None = None
    """None if Qdrant asks for none; the same holds for the embeddings server."""
    collection: str = "memstream"
    embeddings_url: str
    embeddings_api_key: str | None = None
    api_key: str
    admin_key: str
    embedding_model: str
    processes: list[StackProcess]
