"""all-MiniLM-L6-v2 in int8, without torch and without the network."""

import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from ctranslate2 import Encoder, StorageView  # type: ignore[attr-defined] # it doesn't say what it exports
from tokenizers import Tokenizer

from memstream.local.embeddings.batches import plan_batches
from memstream.local.embeddings.model import Tokens, Vectors
from memstream.local.embeddings.model_cache import cached_model
from memstream.local.embeddings.weights import MINILM_PACKAGE, package_folder

# The maximum of sentence-transformers for this model, [CLS] and [SEP] included.
MAX_WORD_PIECES = 256

_log = logging.getLogger(__name__)


class MiniLm:
    """The model, ready to use. Vectors have 384 dimensions and length 1.

    `cache` is the directory of the converted model; the first use converts it, in about a second. `threads` is how many
    batches are computed in parallel, each on one core; that is faster than several cores for one batch.

    Raises `weights.WeightsError` if the weights are missing or not the expected ones.
    """

    name = "all-MiniLM-L6-v2"
    dimensions = 384
    accepts_dimensions = False
    # Measured on 2 cores of an AMD EPYC with chat turns of 45 word pieces: 192 gives 520 texts/s in batches of 13 ms,
    # 512 gives 380/s, 2,048 gives 330/s. Larger batches leave the processor's cache.
    batch_tokens = 192

    def __init__(self, cache: Path, *, threads: int = 2) -> None:
        self.threads = threads
        self._encoder = _load(cache, threads)
        self._tokenizer = Tokenizer.from_file(str(package_folder(MINILM_PACKAGE) / "model" / "tokenizer.json"))
        # The file sets padding and truncation to 128.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        (self._end,) = self._tokenizer.encode("[SEP]", add_special_tokens=False).ids

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Return each text's first 256 word pieces; `count` is the number of all of them."""
        found = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        return [Tokens(self._truncated(ids), len(ids) - 2) for ids in found]

    def _truncated(self, ids: list[int]) -> list[int]:
        return ids if len(ids) <= MAX_WORD_PIECES else [*ids[: MAX_WORD_PIECES - 1], self._end]

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        """Return the mean over each text's tokens, scaled to length 1, from one forward pass."""
        lengths = np.array([len(text.ids) for text in batch], dtype=np.int32)
        ids = np.zeros((len(batch), lengths.max()), dtype=np.int32)
        for row, text in zip(ids, batch, strict=True):
            row[: len(text.ids)] = text.ids
        view = StorageView.from_array
        states = np.asarray(self._encoder.forward_batch(view(ids), view(lengths)).last_hidden_state)
        vectors = np.empty((len(batch), self.dimensions), dtype=np.float32)
        for vector, state, length in zip(vectors, states, lengths, strict=True):
            state[:length].mean(axis=0, out=vector)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of any number of texts, in order, as the server does."""
        tokens = self.tokenise(texts)
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)

        def fill(rows: list[int]) -> None:
            vectors[rows] = self.embed([tokens[row] for row in rows])

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(fill, plan_batches([len(text.ids) for text in tokens], self.batch_tokens)))
        return vectors


def _load(cache: Path, threads: int) -> Encoder:
    folder = cached_model(cache)
    options = {"compute_type": "int8", "inter_threads": threads, "intra_threads": 1}
    try:
        return Encoder(str(folder), **options)
    except (RuntimeError, ValueError) as damaged:
        _log.warning("converting the model in %s again, because it can't be read: %s", folder, damaged)
    shutil.rmtree(folder)
    return Encoder(str(cached_model(cache)), **options)
