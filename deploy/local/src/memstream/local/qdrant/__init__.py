"""The part of Qdrant's REST API that Memstream uses, served by Qdrant's own engine (``qdrant-edge-py``).

One process, one data directory: ``python -m memstream.local.qdrant --port 6333 --data DIR``. Memstream's services talk
to it exactly as they talk to a Qdrant server. A route, field or value that it does not implement is refused by name,
never ignored. To use more of Qdrant, add it here together with a conformance case.

No HNSW graphs are built: a search compares the query with every point that matches its filter, which is exact, and
fast because every search is limited to one owner's points.
"""
