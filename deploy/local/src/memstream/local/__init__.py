"""The whole of Memstream on one machine: no Docker, no root, no API key."""
