"""What the retriever counts. Labels never name a tenant, a user or a question."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
        self.turned_away = Counter(
            "memstream_retriever_turned_away", "Requests answered with 503 since too many waited.", registry=registry
        )
        self.waiting = Gauge("memstream_retriever_waiting", "Requests that wait for their turn.", registry=registry)
        self.query_vectors = Counter(
            "memstream_retriever_query_vectors",
            "Questions that needed a vector: remembered, shared a call that was under way for it, or asked for.",
            ["source"],
            registry=registry,
        )
