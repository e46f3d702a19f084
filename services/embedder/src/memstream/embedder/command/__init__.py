"""What `memstream` does with the embedder's settings."""
