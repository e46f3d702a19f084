"""The embedding space, and the adapters of the embeddings API and of Qdrant."""
