"""The file by which the command and tools find a running embedded stack."""

from pydantic import BaseModel


class StackProcess(BaseModel):
    """A child of the stack."""

    name: str
    pid: int


class Stack(BaseModel):
    """`stack.json`: there when every part answers, gone at shutdown, readable by its owner alone."""

    ingest_url: str
    retriever_url: str
    redis_url: str
    qdrant_url: str
    embeddings_url: str
    api_key: str
    admin_key: str
    embedding_model: str
    processes: list[StackProcess]
