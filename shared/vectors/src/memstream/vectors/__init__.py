"""What embedder and retriever must agree on: the embedding space, and the adapters of both servers."""
