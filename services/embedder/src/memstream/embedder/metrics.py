"""The metrics of the embedder. Labels never name a tenant, a user or a message."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from memstream.runtime.telemetry import LATENCY_BUCKETS


class EmbedderMetrics:
    """The metrics of one embedder."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.messages = Counter(
            "memstream_embedder_messages",
            "Messages and requests to delete, by their outcome.",
            ["outcome"],
            registry=registry,
        )
        self.held = Gauge(
            "memstream_embedder_held_messages", "Messages in progress, requests to delete included.", registry=registry
        )
        self.parked = Gauge(
            "memstream_embedder_parked_entries",
            "Entries that are read and wait for their tenant's share of the messages in progress.",
            registry=registry,
        )
        self.batch_texts = Histogram(
            "memstream_embedder_batch_texts",
            "Texts in one call to the embeddings API.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048),
            registry=registry,
        )
        self.embed_seconds = Histogram(
            "memstream_embedder_embed_seconds",
            "One call to the embeddings API.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.concurrency = Gauge(
            "memstream_embedder_concurrency",
            "Calls to the embeddings API that may be in flight at once.",
            registry=registry,
        )
        self.store_seconds = Histogram(
            "memstream_embedder_store_seconds", "One upsert to Qdrant.", buckets=LATENCY_BUCKETS, registry=registry
        )
        self.failures = Counter(
            "memstream_embedder_failures", "Failed calls, by the kind of failure.", ["kind"], registry=registry
        )
        self.trimmed = Counter(
            "memstream_embedder_trimmed_entries",
            "Entries that this worker trimmed from the streams.",
            ["lane"],
            registry=registry,
        )
        self.trim_refusals = Counter(
            "memstream_embedder_trim_refusals",
            "Times a stream was not trimmed because a declared group is missing.",
            registry=registry,
        )
        self.stream_entries = Gauge(
            "memstream_embedder_stream_entries",
            "Entries in the streams of a lane, acknowledged ones included; the same in every worker.",
            ["lane"],
            registry=registry,
        )
        self.oldest_unacknowledged = Gauge(
            "memstream_embedder_oldest_unacknowledged_seconds",
            "Age of the oldest entry of a lane that is not acknowledged, read or not; the same in every worker.",
            ["lane"],
            registry=registry,
        )
