"""Reads messages from Redis streams, embeds them and stores them in Qdrant."""
