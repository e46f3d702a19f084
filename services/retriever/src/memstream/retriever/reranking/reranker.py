"""What a rerank server does, whatever its protocol."""

from collections.abc import Sequence
from typing import Protocol

DEPENDENCY = "the rerank server"
"""Its name in errors."""


class Reranker(Protocol):
    """Compares texts with a question."""

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return a finite score for each text, in their order: the higher, the more relevant to the question.

        The scale is the model's own. The caller limits how long it takes.

        Raises:
            Unavailable: a rate limit, an error of the server's, an answer that is none: try again later.
            GlobalFault: the key, the model or the URL is wrong.
            Rejected: the server refuses this question or one of these texts.

        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
