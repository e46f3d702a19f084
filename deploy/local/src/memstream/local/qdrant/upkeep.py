"""The work that nobody asks for: flushing what was written, and merging and cleaning segments when nobody is there.

The engine holds Python's interpreter lock in every call (measured with qdrant-edge-py 0.9: no other thread runs during
``optimize``), so this work stops the server for as long as it takes. A flush takes 30 to 400 ms of CPU, and as long as
the disk takes to sync, of which ``sync_files`` spares a part: 0.21 s, not 0.37 s, after 5,000 points on a busy disk.

An optimisation rewrites whole segments. It takes about 50 ms of CPU for each thousand points where it only copies, and
sixty times that where it builds graphs: for every tenant, and for every value of every other indexed field. So no
graphs are built unless a client asks for them (``INDEXING_THRESHOLD`` in ``schemas``), writes go to one segment, and
what is left to do is rare: reclaiming the space of deleted points once they are a fifth, and merging the segments of
earlier releases. It waits until nobody has used the collection for ``PATIENCE`` times as long as it would take.
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
SECONDS_A_POINT = 50e-6  # what an optimisation takes for each point of the collection
PATIENCE = 20

log = logging.getLogger(__name__)


class Upkeep:
    """A thread that visits every collection in turn. ``stop`` lets it finish what it is doing, within a time."""

    def __init__(self, catalog: Catalog, interval: timedelta = FLUSH_INTERVAL) -> None:
        self._catalog = catalog
        self._interval = interval
        self._uses: dict[str, int] = {}
        self._quiet_visits: dict[str, int] = {}
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
        self._quiet_visits[collection.name] = self._quiet_visits.get(collection.name, 0) + 1 if is_quiet else 0
        quiet = self._interval * self._quiet_visits[collection.name]
        try:
            if collection.unflushed:
                collection.flush()
            if collection.unoptimized >= WORTHWHILE and is_quiet and has_waited(collection.points, quiet):
                collection.optimize()
        except Refusal as error:
            if error.status != HTTPStatus.NOT_FOUND:  # it was deleted meanwhile
                log.error("upkeep of collection %s: %s", collection.name, error)  # noqa: TRY400 - the text says it all
        self._uses[collection.name] = collection.uses


def has_waited(points: int, quiet: timedelta) -> bool:
    """Tell whether a collection of so many points has been quiet long enough to stand still for an optimisation."""
    return quiet >= PATIENCE * points * timedelta(seconds=SECONDS_A_POINT)
