"""The metrics of ingest. Labels never name a tenant, a user or a message."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from memstream.runtime.telemetry import LATENCY_BUCKETS


class IngestMetrics:
    """The metrics of one ingest process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "memstream_ingest_messages", "Posted messages, by outcome.", ["outcome"], registry=registry
        )
        self.append_seconds = Histogram(
            "memstream_ingest_append_seconds",
            "Seconds from the start of an append until it is durable.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.backlog = Gauge(
            "memstream_ingest_backlog_messages",
            "Messages that are not yet embedded.",
            registry=registry,
        )
        self._accepted, self._duplicates, self._rejected = (
            self.messages.labels(outcome) for outcome in ("accepted", "duplicate", "rejected")
        )

    def count(self, *, accepted: int = 0, duplicates: int = 0, rejected: int = 0) -> None:
        """Count messages by outcome."""
        for counter, count in (
            (self._accepted, accepted),
            (self._duplicates, duplicates),
            (self._rejected, rejected),
        ):
            if count:
                counter.inc(count)
