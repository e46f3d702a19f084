"""The processes of a local stack, with their ports and settings."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memstream.contracts.stack import Stack, StackProcess
from memstream.local.stack.data_directory import DataDirectory, Keys
from memstream.local.stack.elsewhere import NOTHING_ELSEWHERE, Elsewhere
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
    elsewhere: Elsewhere = NOTHING_ELSEWHERE
    collection: str = "memstream"
    """The collection in Qdrant: one of its own for each stack that shares a Qdrant."""

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
        """The URL of Redis, with its password."""
        if self.elsewhere.redis_url is not None:
            return self.elsewhere.redis_url
        return f"redis://:{self.directory.secrets().redis_password}@{_HOST}:{self.port_base + 2}/0"

    @property
    def qdrant_url(self) -> str:
        """The URL of Qdrant."""
        return self.elsewhere.qdrant_url or self._http(3)

    @property
    def qdrant_api_key(self) -> str | None:
        """What Qdrant asks its clients for; None if it asks for nothing."""
        if self.elsewhere.qdrant_url is not None:
            return self.elsewhere.qdrant_api_key
        return self.directory.secrets().qdrant_api_key

    @property
    def embeddings_url(self) -> str:
        """The URL of the embeddings server, as an OpenAI client's base URL."""
        return self.elsewhere.embeddings_url or f"{self._http(4)}/v1"

    @property
    def embeddings_api_key(self) -> str | None:
        """What the embeddings server asks its clients for; None if it asks for nothing."""
        if self.elsewhere.embeddings_url is not None:
            return self.elsewhere.embeddings_api_key
        return self.directory.secrets().embeddings_api_key

    def describe(self, keys: Keys, processes: list[StackProcess]) -> Stack:
        """Return the contents of `stack.json`."""
        return Stack(
            ingest_url=self.ingest_url,
            retriever_url=self.retriever_url,
            redis_url=self.redis_url,
            qdrant_url=self.qdrant_url,
            qdrant_api_key=self.qdrant_api_key,
            collection=self.collection,
            embeddings_url=self.embeddings_url,
            embeddings_api_key=self.embeddings_api_key,
            api_key=keys.api_key,
            admin_key=keys.admin_key,
            embedding_model=MODELS[self.model].id,
            processes=processes,
        )

    def stages(self) -> list[Stage]:
        """Return the processes in the order in which they start. The servers' secrets must have been created.

        Raises:
            CannotStart: the secrets can't be read.

        """
        elsewhere = self.elsewhere
        return [
            [] if elsewhere.redis_url is not None else [self._redis()],
            [
                self._keys(),
                *([] if elsewhere.qdrant_url is not None else [self._qdrant()]),
                *([] if elsewhere.embeddings_url is not None else [self._embeddings()]),
            ],
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
        argv = [str(server_binary()), str(self.directory.redis_config)]
        argv += (word for name, value in options.items() for word in (f"--{name}", value))
        probe = redis_probe(self.directory.secrets().redis_password)
        return ProcessSpec("redis", argv, port=port, probe=probe, url=f"redis://{_HOST}:{port}/0")

    def _keys(self) -> ProcessSpec:
        argv = _module("memstream.local.stack.keys", str(self.directory.path))
        return ProcessSpec("keys", argv, {"MEMSTREAM_LOCAL_REDIS_URL": self.redis_url}, restart=False)

    def _qdrant(self) -> ProcessSpec:
        port = self.port_base + 3
        argv = _module(
            "memstream.local.qdrant", "--host", _HOST, "--port", str(port), "--data", str(self.directory.qdrant)
        )
        secret = {"MEMSTREAM_LOCAL_QDRANT_API_KEY": self.directory.secrets().qdrant_api_key}
        return ProcessSpec("qdrant", argv, secret, port=port, probe=http_probe("/readyz"), url=self.qdrant_url)

    def _embeddings(self) -> ProcessSpec:
        port = self.port_base + 4
        argv = _module("memstream.local.embeddings", "--host", _HOST, "--port", str(port), "--model", self.model)
        secret = {"MEMSTREAM_LOCAL_EMBEDDINGS_API_KEY": self.directory.secrets().embeddings_api_key}
        probe = http_probe("/health/ready")
        return ProcessSpec("embeddings", argv, secret, port=port, probe=probe, url=self.embeddings_url)

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
            "QDRANT_API_KEY": self.qdrant_api_key or "",
            "COLLECTION": self.collection,
            "EMBEDDINGS_URL": self.embeddings_url,
            "EMBEDDINGS_MODEL": model.id,
            "EMBEDDINGS_DIMENSIONS": str(model.dimensions),
            # A server that asks for none takes any.
            "EMBEDDINGS_API_KEY": self.embeddings_api_key or "none",
        }


def _module(name: str, *arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", name, *arguments)
