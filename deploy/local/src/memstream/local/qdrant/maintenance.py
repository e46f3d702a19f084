"""Background maintenance: flushing what was written, and optimising segments while a collection is idle.

The engine holds Python's interpreter lock in every call (measured with qdrant-edge-py 0.9: no other thread runs during
``optimize``), so maintenance blocks the server for as long as it takes. A flush takes 30 to 400 ms of CPU plus the
disk's sync; ``sync_files`` does part of that without the lock: 0.21 s instead of 0.37 s after 5,000 points on a busy
disk.

An optimisation rewrites whole segments. It takes about 50 ms of CPU per thousand points if it only copies, and sixty
times that if it builds HNSW graphs: one for every tenant and for every value of every other indexed field. Therefore no
graphs are built (``INDEXING_THRESHOLD`` in ``configuration``), writes go to one segment, and little is left to
optimise: taking out deleted points, and merging the segments of earlier releases. An optimisation waits until the
collection has been idle for ``IDLE_FACTOR`` times as long as it will take; one that takes deleted points out of the
files (``compaction``) waits for a limited time.
"""

import logging
import threading
from datetime import timedelta
from http import HTTPStatus

from memstream.local.qdrant.collection import Collection
from memstream.local.qdrant.compaction import SECONDS_PER_COMPACTION, is_due
from memstream.local.qdrant.errors import ApiError
from memstream.local.qdrant.storage import Storage
from memstream.runtime.clock import Clock, SystemClock

FLUSH_INTERVAL = timedelta(seconds=5)  # Qdrant's `flush_interval_sec`
MIN_CHANGED_POINTS = 2_000
"""Fewer changed points are not optimised; with more the engine's own thresholds decide whether there is work."""
SECONDS_PER_POINT = 50e-6  # what an optimisation takes per point of the collection
IDLE_FACTOR = 20

log = logging.getLogger(__name__)


class Maintenance:
    """A thread that visits every collection in turn."""

    def __init__(
        self,
        storage: Storage,
        interval: timedelta = FLUSH_INTERVAL,
        clock: Clock = SystemClock(),  # noqa: B008 - has no state
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._interval = interval
        self._uses: dict[str, int] = {}
        self._idle_visits: dict[str, int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: timedelta) -> bool:
        """Ask the thread to end and return whether it did in time. The write-ahead log has what it did not flush."""
        self._stopped.set()
        self._thread.join(timeout.total_seconds())
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval.total_seconds()):
            for collection in self._storage.all():
                if self._stopped.is_set():
                    return
                self._visit(collection)

    def _visit(self, collection: Collection) -> None:
        is_idle = self._uses.get(collection.name) == collection.uses
        self._idle_visits[collection.name] = self._idle_visits.get(collection.name, 0) + 1 if is_idle else 0
        idle = self._interval * self._idle_visits[collection.name]
        try:
            if collection.unflushed:
                collection.flush()
            if self._is_due(collection, idle):
                collection.compact()
            elif collection.unoptimized >= MIN_CHANGED_POINTS and is_idle and is_idle_enough(collection.points, idle):
                collection.optimize()
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:  # the collection was deleted in the meantime
                log.error("maintenance of collection %s: %s", collection.name, error)  # noqa: TRY400 - no traceback
        self._uses[collection.name] = collection.uses

    def _is_due(self, collection: Collection, idle: timedelta) -> bool:
        since = collection.residue_since
        if since is None:
            return False
        idle -= timedelta(seconds=IDLE_FACTOR * SECONDS_PER_COMPACTION)
        return is_due(since, self._clock.now(), is_idle_enough=is_idle_enough(collection.points, idle))


def is_idle_enough(points: int, idle: timedelta) -> bool:
    """Return whether a collection of so many points has been idle long enough to be blocked by an optimisation."""
    return idle >= IDLE_FACTOR * points * timedelta(seconds=SECONDS_PER_POINT)
