"""The interface of an embedding model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenised text: the ids that the model reads, and the number of tokens of the whole text."""

    ids: list[int]
    count: int


class Model(Protocol):
    """Turns texts into vectors of length 1. Both methods may be called from several threads at once."""

    @property
    def name(self) -> str:
        """The model id in requests and responses."""
        ...

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        ...

    @property
    def accepts_dimensions(self) -> bool:
        """Whether a request may have `dimensions`, as with OpenAI's third generation of models."""
        ...

    @property
    def batch_tokens(self) -> int:
        """The number of tokens, padding included, that one call of `embed` handles best."""
        ...

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of each text, truncated to what the model reads."""
        ...

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        """Return one float32 row per text, in order. Each text must have at least one token."""
        ...
