"""Reranking: the best hits in the order of a model that reads the question and each text together."""

from memstream.retriever.reranking.hit_reranker import HitReranker, Outcome, Reranked
from memstream.retriever.reranking.order import reordered
from memstream.retriever.reranking.pauses import Pause, PausePolicy
from memstream.retriever.reranking.rerank_api import RerankApi
from memstream.retriever.reranking.reranker import Reranker

__all__ = ["HitReranker", "Outcome", "Pause", "PausePolicy", "RerankApi", "Reranked", "Reranker", "reordered"]
