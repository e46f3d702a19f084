"""A Memstream in containers of a test's own: what `docker compose` does, by name."""

import json
import secrets
import shutil
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from containers.engine import COMPOSE_FILE, TOP, CommandFailed, run
from ports import free_ports
from reliability.release import git, last_release

PROVIDER_FILE = TOP / "tests/containers/embeddings.yaml"
OURS = ("ingest", "embedder", "retriever")
PORTS = {"ingest": 8100, "retriever": 8101}
REPLICAS = 2
"""How many of a service run when it is scaled up. A third port lets one be replaced meanwhile."""

_TODAYS = (*(f"services/{service}/Dockerfile" for service in OURS), "deploy/install-service", ".dockerignore")
"""What builds an older release's images: how they were built then may not work on every engine."""


def _images(tag: str) -> dict[str, str]:
    return {f"MEMSTREAM_IMAGE_{service.upper()}": f"memstream-{service}:{tag}" for service in OURS}


class Composition:
    """One project of Docker Compose, from the files of an operator, with a simulated provider beside it."""

    def __init__(self, folder: Path, files: Sequence[Path] = (COMPOSE_FILE,), *, proxy: str = "") -> None:
        """Plan it; `folder` is for its settings. `proxy` is the service that clients reach in the others' place."""
        self._files = [word for file in (*files, PROVIDER_FILE) for word in ("--file", file)]
        self._proxy = proxy
        self._project = f"memstream-test-{secrets.token_hex(4)}"
        self._settings = folder / ".env"
        self.key = ""
        """The key of a tenant, once it is up."""
        ports = free_ports(2 * (REPLICAS + 1))
        first = {"ingest": ports, "retriever": ports + REPLICAS + 1}
        self._variables = {
            "OPENAI_API_KEY": "sk-example",
            "MEMSTREAM_REDIS_PASSWORD": secrets.token_hex(32),
            "MEMSTREAM_QDRANT_API_KEY": secrets.token_hex(32),
            "MEMSTREAM_EMBEDDINGS_URL": "http://embeddings:8200/v1",
            **{f"MEMSTREAM_{name.upper()}_PORTS": f"{port}-{port + REPLICAS}" for name, port in first.items()},
            "MEMSTREAM_PROMETHEUS_PORT": str(free_ports()),
            # One of a range that is for measurements between networks, so that nobody else's is met.
            "MEMSTREAM_DATA_NETWORK": f"198.18.{secrets.randbelow(256)}",
            "MEMSTREAM_IMAGE_PROVIDER": _images("test")["MEMSTREAM_IMAGE_RETRIEVER"],
            **_images("test"),
        }
        # As the README says: the example, with the required variables set.
        shutil.copy(TOP / ".env.example", self._settings)

    async def compose(self, *words: str, sources: Path = TOP, **variables: str) -> str:
        """Run `docker compose`, with other settings for this once where `variables` has them."""
        options = ("--project-name", self._project, "--project-directory", sources, "--env-file", self._settings)
        return await run("docker", "compose", *options, *self._files, *words, environment=self._variables | variables)

    async def build(self) -> None:
        """Build our images from the sources."""
        await self.compose("build")

    async def up(self, *words: str) -> None:
        """Start what does not run, replace what has changed, and wait until all is healthy."""
        try:
            await self.compose("up", "--detach", "--wait", *words)
        except CommandFailed as failure:
            raise AssertionError(f"{failure}\n{await self.compose('logs', '--tail', '30')}") from None
        if not self.key:
            self.key = (await self.compose("run", "--rm", "--no-TTY", "ingest", "issue-key", "acme")).strip()

    async def scale(self, service: str, replicas: int) -> None:
        """Run so many containers of a service."""
        await self.up("--no-recreate", "--scale", f"{service}={replicas}")

    async def kill(self, name: str) -> None:
        """End the containers of a service as a crash does, and remove them; their volumes stay."""
        await self.compose("kill", name)
        await self.compose("rm", "--force", name)

    async def urls(self, service: str) -> list[str]:
        """Return where the running containers of a service answer, or the proxy in their place."""
        lines = (await self.compose("ps", "--format", "json", self._proxy or service)).splitlines()
        published = [found for line in lines for found in json.loads(line)["Publishers"]]
        ports = [found["PublishedPort"] for found in published if found["TargetPort"] == PORTS[service]]
        return [f"http://127.0.0.1:{port}" for port in ports if port]

    async def containers(self, service: str) -> set[str]:
        """Return the ids of a service's running containers."""
        return set((await self.compose("ps", "--quiet", service)).split())

    async def remove(self) -> None:
        """Remove everything that is its own, with the data."""
        await self.compose("down", "--volumes", "--timeout", "5", "--remove-orphans")

    async def build_previous(self, folder: Path) -> bool:
        """Build the images of the last release, from its sources; say no if there is no history to take them from."""
        paths = ("LICENSE", "deploy", "requirements", "services", "shared")
        archive = await git("archive", "--format=tar", await last_release(), *paths)
        if not archive:
            return False
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        for path in _TODAYS:
            shutil.copy(TOP / path, folder / path)
        await self.compose("build", sources=folder, **_images("previous"))
        return True

    def run_release(self, tag: str) -> None:
        """Choose which images the next `up` starts: those of `previous`, or those of this source, `test`."""
        self._variables |= _images(tag)
