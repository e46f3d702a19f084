"""Qdrant's REST API over Qdrant's own engine (``qdrant-edge-py``), in one process and one folder.

Start it with ``python -m memstream.local.qdrant --port 6333 --data DIR``. Clients of a Qdrant server speak to it
unchanged. What it cannot do it refuses by name; it never accepts a field in order to forget it.
"""
