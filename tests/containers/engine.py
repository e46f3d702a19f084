"""What the tests of the containers need of a machine, and the command that they run."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

TOP = Path(__file__).parents[2]
COMPOSE_FILE = TOP / "docker-compose.yml"
CLUSTER_FILE = TOP / "deploy/compose.cluster.yaml"
_OURS = ("MEMSTREAM_IMAGE_INGEST", "MEMSTREAM_IMAGE_EMBEDDER", "MEMSTREAM_IMAGE_RETRIEVER")
_IMAGE = re.compile(r"\$\{(MEMSTREAM_IMAGE_\w+):-([^}]+)\}")
_TIMEOUT = 600.0
"""Seconds for one command; building the images takes most of them."""


class CommandFailed(Exception):
    """A command has ended with another status than 0. The text is what it wrote."""


async def run(*words: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command, and return what it wrote to its output.

    Raises:
        CommandFailed: it did not succeed.

    """
    process = await asyncio.create_subprocess_exec(
        *map(str, words),
        cwd=TOP,
        env=None if environment is None else {**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_TIMEOUT):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CommandFailed(f"{words}: not within {_TIMEOUT:g} s") from None
    if process.returncode:
        raise CommandFailed(f"{words}: {output.decode()}{errors.decode()}")
    return output.decode()


def others_images(files: Iterable[Path]) -> dict[str, str]:
    """Return the images that Compose files name and nobody builds here: as the environment says, or the default."""
    found = {match[1]: match[2] for file in files for match in _IMAGE.finditer(file.read_text())}
    return {name: os.environ.get(name) or default for name, default in found.items() if name not in _OURS}


async def missing(files: Iterable[Path]) -> str:
    """Say in one line what this machine lacks to run Compose files; nothing if it lacks nothing."""
    return "; ".join([reason async for reason in _reasons(others_images(files))])


async def _reasons(images: Mapping[str, str]) -> AsyncIterator[str]:
    if shutil.which("docker") is None:
        yield "there is no command `docker`"
        return
    try:
        await run("docker", "version")
    except CommandFailed as failure:
        yield f"no Docker engine answers: {_last_line(failure)}"
        return
    try:
        await run("docker", "compose", "version")
    except CommandFailed:
        yield "`docker compose` is not installed"
    for name, image in images.items():
        if not await _can_be_had(image):
            yield f"the image {image} is not here and can't be pulled: {name} may name another"


async def _can_be_had(image: str) -> bool:
    for way in (("image", "inspect", "--format", "{{.Id}}"), ("pull", "--quiet")):
        try:
            await run("docker", *way, image)
        except CommandFailed:
            continue
        return True
    return False


def _last_line(failure: CommandFailed) -> str:
    return str(failure).strip().splitlines()[-1]
