"""Vectors without a model: the same text has the same vector in every run, and no two texts are near."""

import base64
import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def vector_of(text: str, dimensions: int, seed: int) -> npt.NDArray[np.float32]:
    """Make the vector of a text, of length 1."""
    digest = hashlib.blake2b(f"{seed}\0{text}".encode(), digest_size=16).digest()
    vector = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big"))).standard_normal(dimensions)
    return (vector / np.linalg.norm(vector)).astype("<f4")


def answer_of(vectors: Sequence[npt.NDArray[np.float32]], model: str, encoding: str, tokens: int) -> dict[str, object]:
    """Write vectors as OpenAI's answer."""
    return {
        "object": "list",
        "model": model,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.tobytes()).decode() if encoding == "base64" else vector.tolist(),
            }
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
