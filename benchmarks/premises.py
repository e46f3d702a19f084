"""What a benchmark runs: where, how many of each service, which Qdrant, and which provider of embeddings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.hosts import HERE, Hosts
from benchmarks.qdrant_server import qdrant_process
from memstream.local.stack.elsewhere import NOTHING_ELSEWHERE, Elsewhere
from memstream.local.stack.plan import FIXED_PORTS, Plan
from memstream.local.stack.process_spec import ProcessSpec
from memstream.local.stack.readiness import http_probe

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Provider:
    """The simulated provider: the seconds that a call takes, and its limits; None is no limit."""

    latency: float = 0.0
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    dimensions: int = 384
    seed: int = 1

    def command(self, python: str, port: int) -> list[str]:
        """Return the command line of its process."""
        limits = {"rpm": self.rpm, "tpm": self.tpm, "concurrency": self.concurrency}
        return [
            *(python, "-m", "tests.provider", "--host", "127.0.0.1", "--port", str(port), "--seed", str(self.seed)),
            *("--dimensions", str(self.dimensions), "--latency", str(self.latency)),
            *(word for name, limit in limits.items() if limit is not None for word in (f"--{name}", str(limit))),
        ]


@dataclass(frozen=True, slots=True)
class Premises:
    """Where a site is: its hosts, how many of the stateless services, and which Qdrant.

    That is the stand-in of the local stack, a server that is started from a binary, or one that runs elsewhere.
    """

    hosts: Hosts = HERE
    ingests: int = 1
    retrievers: int = 1
    qdrant_binary: Path | None = None
    elsewhere: Elsewhere = NOTHING_ELSEWHERE
    collection: str = "memstream"
    model: str = "minilm"
    """The embeddings server's, where that is the stack's own."""
    folder: Path | None = None
    """For the site's data; None is that of temporary files."""


LOCAL = Premises()


def planned(
    plan: Plan,
    provider: Provider | None,
    settings: Mapping[str, Mapping[str, object]],
    qdrant_binary: Path | None,
) -> list[ProcessSpec]:
    """Return all processes as they are on one host. `settings` are those of each kind of service."""
    specs = [adjusted(spec, provider, settings) for stage in plan.stages() for spec in stage]
    named = {spec.name: spec for spec in specs}
    if provider is not None:
        named["provider"] = _provider(named.pop("embeddings"), provider)
    if qdrant_binary is not None:
        own, grpc_port = named["qdrant"], plan.port_base + FIXED_PORTS + plan.embedders
        folder, key = plan.directory.qdrant, plan.qdrant_api_key
        argv, variables = qdrant_process(qdrant_binary, folder, own.port, key, grpc_port=grpc_port)
        named["qdrant"] = replace(own, argv=argv, environment=variables)
    return list(named.values())


def adjusted(
    child: ProcessSpec, provider: Provider | None, settings: Mapping[str, Mapping[str, object]]
) -> ProcessSpec:
    """Return a process with these settings of its kind, and those that the simulated provider asks for."""
    part = child.name.partition("-")[0]
    given: dict[str, object] = {}
    if provider is not None and part in ("embedder", "retriever"):
        given = {"embeddings_model": "simulated", "embeddings_dimensions": provider.dimensions}
    given |= settings.get(part, {})
    named = {f"MEMSTREAM_{part}_{name}".upper(): str(value) for name, value in given.items()}
    return replace(child, environment={**child.environment, **named})


def _provider(place: ProcessSpec, provider: Provider) -> ProcessSpec:
    """Replace the stack's embeddings server by the provider."""
    return ProcessSpec(
        "provider",
        provider.command(place.argv[0], place.port),
        {"PYTHONPATH": str(_ROOT)},
        port=place.port,
        probe=http_probe("/counts"),
    )
