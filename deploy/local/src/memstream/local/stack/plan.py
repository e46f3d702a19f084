"""The processes of a local stack, with their ports and settings."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memstream.contracts.stack import Stack, StackProcess
from memstream.local.stack.data_directory import DataDirectory, Keys
from memstream.local.stack.process_spec import ProcessSpec, Stage
from memstream.local.stack.readiness import http_probe, redis_probe
from memstream.local.stack.valkey import server_binary

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Model:
    """An embedding model that runs on this machine."""

    id: str
    dimensions: int


MODELS = {"minilm": Model("all-MiniLM-L6-v2", 384), "wordllama": Model("wordllama-256", 256)}
"""The models, by their names in the command."""

FIXED_PORTS = 5
"""Ports besides those of the embedders: ingest, retriever, Redis, Qdrant, embeddings."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the processes listen, how many of each there are, and which model they use."""

    directory: DataDirectory
    model: str = "minilm"
    port_base: int = 8100
    ingests: int = 1
    embedders: int = 1
    retrievers: int = 1
    calibrations: Path | None = None
    """A file written by `memstream calibrate`, for the retrievers."""
    rerank_url: str | None = None
    """The base URL of a rerank server, for the retrievers."""
    rerank_model: str | None = None

    @property
    def ingest_url(self) -> str:
        """The URL of ingest."""
        return self._http(0)

    @property
    def retriever_url(self) -> str:
        """The URL of the retriever."""
        return self._http(1)

    @property
    def redis_url(self) -> str:
        """The URL of Redis."""
        return f"redis://{_HOST}:{self.port_base + 2}/0"

    @property
    def qdrant_url(self) -> str:
        """The URL of Qdrant."""
        return self._http(3)

    @property
    def embeddings_url(self) -> str:
        """The URL of the embeddings server, as an OpenAI client's base URL."""
        return f"{self._http(4)}/v1"

    def describe(self, keys: Keys, processes: list[StackProcess]) -> Stack:
        """Return the contents of `stack.json`."""
        return Stack(
            ingest_url=self.ingest_url,
            retriever_url=self.retriever_url,
            redis_url=self.redis_url,
            qdrant_url=self.qdrant_url,
            embeddings_url=self.embeddings_url,
            api_key=keys.api_key,
            admin_key=keys.admin_key,
            embedding_model=MODELS[self.model].id,
            processes=processes,
        )

    def stages(self) -> list[Stage]:
        """Return the processes in the order in which they start."""
        return [
            [self._redis()],
            [self._keys(), self._qdrant(), self._embeddings()],
            [*self._ingests(), *self._embedders(), *self._retrievers()],
        ]

    def _http(self, offset: int) -> str:
        return f"http://{_HOST}:{self.port_base + offset}"

    def _redis(self) -> ProcessSpec:
        port = self.port_base + 2
        options = {
            "bind": _HOST,
            "port": str(port),
            "dir": str(self.directory.redis),
            "daemonize": "no",
            "appendonly": "yes",
            # An accepted message is on disk. Group commit in ingest keeps that fast.
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            # Each entry is freed when it is deleted, and not with the last of the entries beside it.
            "stream-node-max-entries": "1",
            # So that a search for a user's words in the files means something.
            "rdbcompression": "no",
            "save": "",
        }
        argv = [str(server_binary()), *(word for name, value in options.items() for word in (f"--{name}", value))]
        return ProcessSpec("redis", argv, port=port, probe=redis_probe, url=self.redis_url)

    def _keys(self) -> ProcessSpec:
        argv = _module("memstream.local.stack.keys", self.redis_url, str(self.directory.path))
        return ProcessSpec("keys", argv, restart=False)

    def _qdrant(self) -> ProcessSpec:
        port = self.port_base + 3
        argv = _module(
            "memstream.local.qdrant", "--host", _HOST, "--port", str(port), "--data", str(self.directory.qdrant)
        )
        return ProcessSpec("qdrant", argv, port=port, probe=http_probe("/readyz"), url=self.qdrant_url)

    def _embeddings(self) -> ProcessSpec:
        port = self.port_base + 4
        argv = _module("memstream.local.embeddings", "--host", _HOST, "--port", str(port), "--model", self.model)
        return ProcessSpec("embeddings", argv, port=port, probe=http_probe("/health/ready"), url=self.embeddings_url)

    def _ingests(self) -> list[ProcessSpec]:
        return [self._service("ingest", n, self.port_base, shared=self.ingests > 1) for n in range(self.ingests)]

    def _retrievers(self) -> list[ProcessSpec]:
        settings = self._storage()
        if self.calibrations is not None:
            settings["CALIBRATIONS"] = str(self.calibrations.absolute())
        if self.rerank_url is not None:
            settings["RERANK_URL"] = self.rerank_url
        if self.rerank_model is not None:
            settings["RERANK_MODEL"] = self.rerank_model
        return [
            self._service("retriever", n, self.port_base + 1, settings, shared=self.retrievers > 1)
            for n in range(self.retrievers)
        ]

    def _embedders(self) -> list[ProcessSpec]:
        return [
            # Redis keeps pending entries by consumer name, so the name must be the same after a restart.
            self._service(
                "embedder", n, self.port_base + FIXED_PORTS + n, {**self._storage(), "CONSUMER": f"embedder-{n + 1}"}
            )
            for n in range(self.embedders)
        ]

    def _service(
        self, part: str, index: int, port: int, settings: dict[str, str] | None = None, *, shared: bool = False
    ) -> ProcessSpec:
        values = {
            "HOST": _HOST,
            "PORT": str(port),
            "REUSE_PORT": "true" if shared else "false",
            "REDIS_URL": self.redis_url,
            "PARTITIONS": "1",
            "LOG_LEVEL": "INFO",
            **(settings or {}),
        }
        return ProcessSpec(
            f"{part}-{index + 1}",
            _module(f"memstream.{part}"),
            {f"MEMSTREAM_{part.upper()}_{name}": value for name, value in values.items()},
            port=port,
            probe=http_probe("/health/ready"),
            url=f"http://{_HOST}:{port}",
            share_port=shared,
        )

    def _storage(self) -> dict[str, str]:
        model = MODELS[self.model]
        return {
            "QDRANT_URL": self.qdrant_url,
            "COLLECTION": "memstream",
            "EMBEDDINGS_URL": self.embeddings_url,
            "EMBEDDINGS_MODEL": model.id,
            "EMBEDDINGS_DIMENSIONS": str(model.dimensions),
            "EMBEDDINGS_API_KEY": "local",
        }


def _module(name: str, *arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", name, *arguments)
