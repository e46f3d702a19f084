"""Ways to keep vectors in Qdrant, and how much of what an exact search finds each of them finds."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import httpx
import numpy as np
import numpy.typing as npt

from benchmarks.site import Failed
from memstream.vectors.store import CandidateQuery, MemoryStore, Owner
from memstream.vectors.store.qdrant.copies import Copies, Quantization

NEAREST = 10
_CANDIDATES = 100
_STEADY = 3
_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Variant:
    """Where vectors are, and how they are compared."""

    quantization: Quantization = "none"
    on_disk: bool = False

    @property
    def name(self) -> str:
        """Its name, as the command line takes it."""
        return self.quantization + ("+disk" if self.on_disk else "")

    @property
    def copies(self) -> Copies:
        """The settings that a collection is made with."""
        return Copies(on_disk_vectors=self.on_disk, quantization=self.quantization)

    def changes(self, vector_name: str) -> dict[str, Any]:
        """Return the request that changes a collection to it."""
        config = self.copies.quantization_config()
        return {
            "vectors": {vector_name: {"on_disk": self.on_disk}},
            "quantization_config": "Disabled" if config is None else config.model_dump(exclude_none=True, mode="json"),
        }


def read_variant(text: str) -> Variant:
    """Return the variant of this name.

    Raises:
        ValueError: there is none.

    """
    quantization, _, place = text.partition("+")
    if quantization not in get_args(Quantization) or place not in ("", "disk"):
        raise ValueError(text)
    return Variant(cast("Quantization", quantization), on_disk=place == "disk")


@dataclass(frozen=True, slots=True)
class Question:
    """Whose messages are asked for, and the vector that they are compared with."""

    owner: Owner
    vector: npt.NDArray[np.float32]


class Judge:
    """Asks a collection as the retriever does, and exactly."""

    def __init__(self, http: httpx.AsyncClient, store: MemoryStore, collection: str, vector_name: str) -> None:
        self._http = http
        self._store = store
        self._collection = f"/collections/{collection}"
        self._vector_name = vector_name

    async def change(self, variant: Variant) -> None:
        """Change the collection to a variant."""
        changes = variant.changes(self._vector_name)
        (await self._http.patch(self._collection, json=changes)).raise_for_status()

    async def settle(self, within: float) -> float:
        """Wait until Qdrant has built all indexes; return the seconds.

        Raises:
            Failed: it takes longer than `within` seconds.

        """
        started, steady = time.perf_counter(), 0
        while steady < _STEADY:
            if time.perf_counter() - started > within:
                raise Failed(f"Qdrant still builds indexes after {within:g} s")
            await asyncio.sleep(_PAUSE)
            info = (await self._http.get(self._collection)).raise_for_status().json()["result"]
            steady = steady + 1 if info["status"] == "green" else 0
        return time.perf_counter() - started - _STEADY * _PAUSE

    async def exact(self, questions: Sequence[Question]) -> list[dict[str, float]]:
        """Return the ids of the nearest messages to each question, with their scores, by comparing with all."""
        found = []
        for question in questions:
            body = {
                "query": question.vector.tolist(),
                "using": self._vector_name,
                "filter": {"must": [{"key": "owner", "match": {"value": question.owner.name}}]},
                "limit": NEAREST,
                "params": {"exact": True, "quantization": {"ignore": True}},
            }
            answer = (await self._http.post(f"{self._collection}/points/query", json=body)).raise_for_status().json()
            found.append({point["id"]: float(point["score"]) for point in answer["result"]["points"]})
        return found

    async def ask(self, question: Question) -> dict[str, float]:
        """Return the scores of the candidates that the retriever would get."""
        query = CandidateQuery(question.owner, question.vector, None, _CANDIDATES)
        (candidates,) = await self._store.propose([query])
        return dict(candidates.dense or {})


def recall(found: dict[str, float], nearest: dict[str, float]) -> float:
    """Return the share of the nearest that are among as many of the best of what was found."""
    best = sorted(found, key=lambda point: -found[point])[: len(nearest)]
    return len(nearest.keys() & best) / len(nearest)


def proposed(found: dict[str, float], nearest: dict[str, float]) -> float:
    """Return the share of the nearest that were found at all."""
    return len(nearest.keys() & found.keys()) / len(nearest)


def largest_error(found: dict[str, float], nearest: dict[str, float]) -> float:
    """Return the largest difference of a score from the exact one."""
    return max((abs(found[point] - score) for point, score in nearest.items() if point in found), default=0.0)
