"""What the retriever counts. Labels never name a tenant, a user or a question."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from memstream.runtime.telemetry import LATENCY_BUCKETS


class RetrieverMetrics:
    """The metrics of one process of the retriever."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.searches = Counter(
            "memstream_retriever_searches", "Questions answered.", ["mode", "answer"], registry=registry
        )
        self.search_seconds = Histogram(
            "memstream_retriever_search_seconds",
            "From the question to the answer.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.embed_seconds = Histogram(
            "memstream_retriever_embed_seconds", "Embedding questions.", buckets=LATENCY_BUCKETS, registry=registry
        )
        self.qdrant_seconds = Histogram(
            "memstream_retriever_qdrant_seconds", "Asking Qdrant.", buckets=LATENCY_BUCKETS, registry=registry
        )
