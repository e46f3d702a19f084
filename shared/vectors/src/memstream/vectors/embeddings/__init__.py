"""The embeddings provider: its protocol and adapters, and the budget of calls that all services share."""

from memstream.vectors.embeddings.metering import MeteredEmbeddings, Watch
from memstream.vectors.embeddings.provider import DEPENDENCY, Embedded, EmbeddingsProvider

__all__ = ["DEPENDENCY", "Embedded", "EmbeddingsProvider", "MeteredEmbeddings", "Watch"]
