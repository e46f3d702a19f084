"""The proxy of the cluster's Compose file, on hosts whose addresses are known."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from hosts import Host
from waiting import until

from memstream.local.stack.readiness import http_probe

SHIPPED = Path(__file__).parents[2] / "deploy/cluster/haproxy.cfg"
PORTS: Mapping[str, int] = {"ingest": 8100, "retriever": 8101, "qdrant": 6333}
_HEALTH_PORT = 8405


def missing_for_proxy() -> str | None:
    """Name what it takes to run the proxy and isn't there; None if nothing is missing."""
    return None if shutil.which("haproxy") else "the command haproxy"


def with_addresses(shipped: str, servers: Mapping[str, Sequence[str]]) -> str:
    """Return a configuration with these servers (`address:port`) behind each name, in place of those of Compose."""
    sections = re.split(r"\n(?=\w)", shipped)
    kept = [section for section in sections if not section.startswith("resolvers ")]
    return "\n".join(_addressed(section, servers) for section in kept) + "\n"


def write_config(folder: Path, servers: Mapping[str, Sequence[str]]) -> Path:
    """Write the shipped configuration with these servers into a new folder."""
    folder.mkdir()
    config = folder / "haproxy.cfg"
    config.write_text(with_addresses(SHIPPED.read_text(), servers))
    return config


def _addressed(section: str, servers: Mapping[str, Sequence[str]]) -> str:
    section = re.sub(r" resolvers \S+ init-addr none", "", section)
    backend = re.match(r"backend (\S+)", section)
    if backend is None:
        return section
    lines = [line for line in section.rstrip().splitlines() if not re.match(r"\s+server", line)]
    name = backend[1]
    lines += [f"    server {name}-{number} {server}" for number, server in enumerate(servers[name], 1)]
    return "\n".join([*lines, ""])


@contextlib.asynccontextmanager
async def proxying(host: Host, folder: Path, servers: Mapping[str, Sequence[str]]) -> AsyncIterator[dict[str, str]]:
    """Run the proxy; give the URL of each name."""
    config = write_config(folder, servers)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *host.enter, "haproxy", "-db", "-f", str(config), stdout=log, stderr=log
        )

    probe = http_probe("/health", host.address)

    async def answers() -> bool:
        assert process.returncode is None, (folder / "log").read_text()
        return await probe(_HEALTH_PORT) is None

    try:
        await until(answers, "the proxy answers")
        yield {name: f"http://{host.address}:{port}" for name, port in PORTS.items()}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
