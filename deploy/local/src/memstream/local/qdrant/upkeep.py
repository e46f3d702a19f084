"""The work that nobody asks for: flushing what was written, merging and indexing segments.

The engine holds Python's interpreter lock in every call (measured with qdrant-edge-py 0.9: no other thread runs during
``optimize``), so this work stops the server for as long as it takes. A flush takes some 50 ms. An optimisation takes
about 8 ms for each thousand points that are merged; so it waits for a quiet moment, and ``MAX_SEGMENT`` in ``schemas``
bounds what one of them can merge. Searches before it are nearly as fast, since they go through the payload index.
"""

import logging
import threading
from datetime import timedelta
from http import HTTPStatus

from memstream.local.qdrant.catalog import Catalog
from memstream.local.qdrant.collection import Collection
from memstream.local.qdrant.refusals import Refusal

FLUSH_INTERVAL = timedelta(seconds=5)  # Qdrant's `flush_interval_sec`
WORTHWHILE = 2_000  # changed points; the engine then decides by its own thresholds whether there is work
OVERDUE = 100_000  # changed points, after which it waits no longer

log = logging.getLogger(__name__)


class Upkeep:
    """A thread that visits every collection in turn. ``stop`` lets it finish what it is doing, within a time."""

    def __init__(self, catalog: Catalog, interval: timedelta = FLUSH_INTERVAL) -> None:
        self._catalog = catalog
        self._interval = interval
        self._uses: dict[str, int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, within: timedelta) -> bool:
        """Ask the thread to end and tell whether it did. What it leaves undone is in the log and is made up for."""
        self._stopped.set()
        self._thread.join(within.total_seconds())
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval.total_seconds()):
            for collection in self._catalog.all():
                if self._stopped.is_set():
                    return
                self._visit(collection)

    def _visit(self, collection: Collection) -> None:
        is_quiet = self._uses.get(collection.name) == collection.uses
        try:
            if collection.unflushed:
                collection.flush()
            if collection.unoptimized >= (WORTHWHILE if is_quiet else OVERDUE):
                collection.optimize()
        except Refusal as error:
            if error.status != HTTPStatus.NOT_FOUND:  # it was deleted meanwhile
                log.error("upkeep of collection %s: %s", collection.name, error)  # noqa: TRY400 - the text says it all
        self._uses[collection.name] = collection.uses
