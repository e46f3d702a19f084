"""A simulated provider that speaks OpenAI's protocol for embeddings, and Cohere's for reranking: seeded, scriptable."""
