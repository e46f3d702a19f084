"""What an embeddings provider does, whatever its protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from memstream.vectors.embeddings.quotas import Quotas
from memstream.vectors.space import InputType, Vectors

DEPENDENCY = "the embeddings server"
"""Its name in errors."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """An answer: the vectors, the tokens they were charged for, and what was said of the limits."""

    vectors: Vectors
    tokens: int | None
    """None if the provider did not report it."""
    quotas: Quotas


class EmbeddingsProvider(Protocol):
    """Turns texts into vectors of one space."""

    async def embed(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        """Embed up to 2,048 texts, none of them empty, in one call.

        The vectors are one row a text, in their order, projected into the space's stored dimensions.

        Raises:
            Unavailable: a rate limit, a timeout, an error of the server's: try again later.
            GlobalFault: the key, the quota, the model or its dimensions are wrong.
            Rejected: the server refuses one of these texts.

        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
