"""A simulated embeddings provider that speaks OpenAI's protocol: seeded, scriptable, with OpenAI's limits."""
