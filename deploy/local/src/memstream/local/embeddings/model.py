"""What the server asks of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tokens:
    """One text, tokenised: the ids the model will read, and how many tokens the whole text has."""

    ids: list[int]
    count: int


class Model(Protocol):
    """Turns texts into vectors of length 1. Both methods may be called from several threads at once."""

    @property
    def name(self) -> str:
        """The model id in requests and answers."""
        ...

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        ...

    @property
    def accepts_dimensions(self) -> bool:
        """Whether a request may state the length of the vectors, as for OpenAI's third generation of models."""
        ...

    @property
    def batch_tokens(self) -> int:
        """The number of tokens, padding included, that one call of `embed` handles best."""
        ...

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenise each text, cutting it to what the model reads."""
        ...

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        """One row per text, float32, in the order given. A text needs at least one token."""
        ...
