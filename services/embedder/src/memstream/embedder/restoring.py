"""Restoring the collection: a snapshot is recovered, and what came after it is read from the streams again."""

from collections.abc import Callable
from dataclasses import dataclass

from memstream.embedder.restore_point import RestorePoint
from memstream.embedder.settings import EmbedderSettings
from memstream.embedder.streams import source_streams
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault
from memstream.streams.connections import connect
from memstream.streams.partitioning import PartitionRecord
from memstream.vectors.composition import open_restoration
from memstream.vectors.store import DEPENDENCY


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What is to be restored."""

    location: str
    """Of the snapshot: a URL that Qdrant can read, `file:///qdrant/snapshots/…` on its own disk."""
    replace: bool = False
    """Whether a collection that is there is deleted first."""
    since: int | None = None
    """From when on to read again, in milliseconds; None: as the snapshot says."""
    partially: bool = False
    """Whether to go on when the streams may lack some of it."""


async def restore(
    settings: EmbedderSettings, request: RestoreRequest, clock: Clock, say: Callable[[str], None]
) -> None:
    """Restore the collection, while workers run or not. Until it is done, embedders and retrievers are not ready.

    Raises:
        GlobalFault: it can't be restored like this; the text says why.
        Unavailable: Qdrant or Redis is out of reach. Calling it again begins anew.
        ConfigurationError: a URL and a CA file contradict each other.

    """
    client = connect(str(settings.redis_url), ca_file=settings.redis_ca_file)
    restoration = open_restoration(settings, client, clock)
    try:
        partitions = (await PartitionRecord(client, settings.partitions).read()).partitions
        point = RestorePoint(client, source_streams(partitions))
        say(f"recovering {request.location}")
        noted = await restoration.recover(request.location, replace=request.replace)
        since = noted if request.since is None else request.since
        if since is None:
            raise GlobalFault(DEPENDENCY, "the snapshot does not say when it was made: give --since and --replace")
        await point.read_again(since, settings.replay_window.total_seconds(), partially=request.partially)
        await restoration.finish()
        say(f"recovered; the embedders read again what was appended since {since}, in milliseconds of Redis' clock")
    finally:
        await restoration.aclose()
        await client.aclose()
