"""Qdrant's REST API over Qdrant's own engine (``qdrant-edge-py``), in one process and one folder.

Start it with ``python -m memstream.local.qdrant --port 6333 --data DIR``. Clients of a Qdrant server speak to it
unchanged. What it cannot do it refuses by name; it never accepts a field in order to forget it.

One default differs: `indexing_threshold` is 0, so that no HNSW graphs are built unless a collection sets another, and a
search compares with every point that its filter lets through. Made for searches within one owner's points.
"""
