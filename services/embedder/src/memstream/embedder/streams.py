"""The streams a worker reads."""

from collections.abc import Mapping
from dataclasses import dataclass

from memstream.contracts import keys
from memstream.contracts.keys import Lane
from memstream.embedder.jobs import Delivery


@dataclass(frozen=True, slots=True)
class SourceStream:
    """One lane of one partition."""

    partition: int
    lane: Lane

    @property
    def name(self) -> str:
        """Its name in Redis."""
        return keys.stream(self.partition, self.lane)

    def delivery(self, entry_id: str, fields: Mapping[bytes, bytes], attempts: int = 1) -> Delivery:
        """Return the delivery of an entry of this stream."""
        return Delivery(self.name, self.lane, self.partition, entry_id, fields, attempts)


def source_streams(partitions: int) -> list[SourceStream]:
    """Return all streams. Every worker reads every partition."""
    return [SourceStream(partition, lane) for partition in range(partitions) for lane in keys.LANES]
