"""WordLlama's 256-dimensional static vectors: fast and of low quality, for load tests."""

from collections.abc import Sequence

import numpy as np
from safetensors import safe_open
from tokenizers import Tokenizer

from memstream.local.embeddings.model import Tokens, Vectors
from memstream.local.embeddings.weights import package_folder


class WordLlama:
    """The mean of the vectors of a text's tokens, scaled to length 1.

    The vectors are those of the package `wordllama` (`embed(norm=True)`), whose two files are read here directly:
    importing that package sets up logging, loads an HTTP client, and keeps a second copy of the weights.

    Raises `weights.WeightsError` if the package is not installed.
    """

    name = "wordllama-256"
    dimensions = 256
    accepts_dimensions = True
    batch_tokens = 4096

    def __init__(self) -> None:
        folder = package_folder("wordllama")
        with safe_open(folder / "weights" / "l2_supercat_256.safetensors", framework="numpy") as tensors:
            # Stored in half precision, in which the sum would take four times as long.
            self._table = tensors.get_tensor("embedding.weight").astype(np.float32)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of each text, all of them: the mean may be over any number."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [Tokens(encoding.ids, len(encoding.ids)) for encoding in found]

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        """Return the means, one row per text."""
        vectors = np.empty((len(batch), self.dimensions), dtype=np.float32)
        for vector, text in zip(vectors, batch, strict=True):
            self._table[text.ids].mean(axis=0, out=vector)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of any number of texts, in order, as the server does."""
        return self.embed(self.tokenise(texts))
