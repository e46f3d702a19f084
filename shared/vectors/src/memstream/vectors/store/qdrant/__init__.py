"""The store's adapter for Qdrant."""

from memstream.vectors.store.qdrant.store import QdrantStore

__all__ = ["QdrantStore"]
