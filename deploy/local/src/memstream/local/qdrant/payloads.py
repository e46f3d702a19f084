"""Payloads as JSON, kept between queries: to read a payload takes the engine longer than to score its point."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Callable, Iterable

import orjson
import qdrant_edge as qe

from memstream.local.qdrant.json_fields import Json, PointId

_MAX_POINTS = 20_000
_MAX_BYTES = 4_096
"""Longer payloads are not kept, so that all of them together take about 80 MB at the most."""


_UNKNOWN_VERSION = 0
"""What the engine says of points that it lists without a score."""


class Payloads:
    """The payloads of a collection's points, each for a version of its point. A write makes a new version."""

    def __init__(self) -> None:
        self._known: dict[PointId, tuple[int, orjson.Fragment]] = {}

    def add_to(self, points: Iterable[Json], retrieve: Callable[[list[PointId]], Iterable[qe.Record]]) -> None:
        """Give scored points their payloads; those that are not known are retrieved, in one call."""
        unknown: dict[PointId, Json] = {}
        for point in points:
            held = self._known.get(point["id"])
            if held is not None and held[0] == point["version"]:
                point["payload"] = held[1]
            else:
                unknown[point["id"]] = point
        if unknown:
            for record in retrieve(list(unknown)):
                # A point that was changed since the query is kept under its older version, and soon read again.
                if (payload := record.payload) is not None:
                    point = unknown[record.id]
                    point["payload"] = self._keep(record.id, point["version"], orjson.dumps(payload))

    def _keep(self, point: PointId, version: int, payload: bytes) -> orjson.Fragment:
        fragment = orjson.Fragment(payload)
        if version != _UNKNOWN_VERSION and len(payload) <= _MAX_BYTES:
            if len(self._known) >= _MAX_POINTS:
                self._known.clear()
            self._known[point] = (version, fragment)
        return fragment

    def forget(self) -> None:
        """Forget all: what is deleted is not to stay in memory."""
        self._known.clear()
