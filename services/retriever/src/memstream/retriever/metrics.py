"""The metrics of the retriever. Labels never name a tenant, a user or a question."""

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
            "Duration of a search.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.embed_seconds = Histogram(
            "memstream_retriever_embed_seconds", "Embedding questions.", buckets=LATENCY_BUCKETS, registry=registry
        )
        self.qdrant_seconds = Histogram(
            "memstream_retriever_qdrant_seconds", "Queries to Qdrant.", buckets=LATENCY_BUCKETS, registry=registry
        )
        self.rerankings = Counter(
            "memstream_retriever_rerankings",
            "Searches whose hits were to be reranked, by what became of it.",
            ["outcome"],
            registry=registry,
        )
        self.rerank_seconds = Histogram(
            "memstream_retriever_rerank_seconds",
            "Calls of the rerank server.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.turned_away = Counter(
            "memstream_retriever_turned_away",
            "Requests refused with 503 or 429 because too many waited, or waited for too long.",
            registry=registry,
        )
        self.waiting = Gauge("memstream_retriever_waiting", "Requests that wait for a permit.", registry=registry)
        self.query_vectors = Counter(
            "memstream_retriever_query_vectors",
            "Questions that needed a vector: remembered (cached), shared with a call in flight, or asked for.",
            ["source"],
            registry=registry,
        )
