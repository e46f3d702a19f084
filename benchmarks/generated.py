"""Generated messages as they are in the store, with texts and vectors that are cheap to make."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np

from memstream.runtime.clock import SystemClock
from memstream.vectors.space import render
from memstream.vectors.store import EmbeddedChunk, StoredMessage, owner_of

TENANT = "local"
BATCH = 128
_WORDS = 20_000
_LENGTH = 25
_INNER_DIMENSIONS = 48
_NOISE = 0.1

Rows = np.ndarray[Any, np.dtype[np.float32]]
"""Unit vectors, one per row."""


class Texts:
    """Generated texts: 25 words each, of 20,000; the second is half as frequent as the first, the third a third.

    Their vectors have nothing to do with them. They lie near a space of 48 dimensions, since an embedding model, too,
    uses few of the dimensions that it has; in all dimensions alike, each would be as far from every other one.
    """

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self._words = np.array([f"word{number}" for number in range(_WORDS)])
        weights = 1 / np.arange(1, _WORDS + 1)
        self._weights = weights / weights.sum()
        self._maps: dict[int, Rows] = {}

    def make(self, count: int, length: int = _LENGTH) -> list[str]:
        """Return texts."""
        return [" ".join(row) for row in self._chance.choice(self._words, (count, length), p=self._weights)]

    def vectors(self, count: int, dimensions: int) -> Rows:
        """Return random vectors."""
        if dimensions not in self._maps:
            self._maps[dimensions] = _normal(np.random.default_rng(0), _INNER_DIMENSIONS, dimensions)
        inner = _normal(self._chance, count, _INNER_DIMENSIONS)
        rows = inner @ self._maps[dimensions] / np.sqrt(_INNER_DIMENSIONS)
        rows += _NOISE * _normal(self._chance, count, dimensions)
        unit: Rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def batches(texts: Texts, numbers: range, users: int, dimensions: int) -> Iterator[list[EmbeddedChunk]]:
    """Return messages by their numbers, evenly for all users, as an embedder stores them."""
    begin = SystemClock().now() - timedelta(days=365)
    for start in range(0, len(numbers), BATCH):
        chosen = numbers[start : start + BATCH]
        rows = zip(chosen, texts.make(len(chosen)), texts.vectors(len(chosen), dimensions), strict=True)
        chunks = []
        for number, text, vector in rows:
            said = begin + timedelta(seconds=number * 30)
            role = ("user", "assistant")[number // users % 2]
            owner = owner_of(TENANT, f"user-{number % users}")
            message = StoredMessage(
                owner=owner.name,
                message_id=f"m{number}",
                conversation_id=f"c{number // users // 50}",
                role=role,
                text=text,
                occurred_at=said,
                recorded_at=said,
                entry_ms=number,
            )
            chunks.append(
                EmbeddedChunk(owner, message, vector, render(text, speaker=None, role=role, occurred_at=said))
            )
        yield chunks


def _normal(chance: np.random.Generator, count: int, dimensions: int) -> Rows:
    return chance.standard_normal((count, dimensions), dtype=np.float32)
