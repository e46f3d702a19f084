"""The code of the previous release, for a worker that has not been replaced yet."""

import asyncio
import os
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_UNTAGGED = "7a669ea"
"""0.1.0, which has no tag."""


async def unpack_previous(
    folder: Path, revision: str | None = None, services: Sequence[str] = ("embedder",)
) -> str | None:
    """Unpack older services and what they share into a folder, and give their PYTHONPATH; None if nothing is known.

    The revision is the one given, or that of the last release.
    """
    kept = [*(f"services/{service}" for service in services), "shared"]
    archive = await git("archive", "--format=tar", revision or await last_release(), *kept)
    if not archive:
        return None
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    sources = [
        *(folder / f"services/{service}/src" for service in services),
        *sorted((folder / "shared").glob("*/src")),
    ]
    return os.pathsep.join(map(str, sources))


async def last_release() -> str:
    """Give the revision of the last release."""
    tag = await git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
    return tag.decode().strip() or _UNTAGGED


async def git(*arguments: str) -> bytes:
    """Give what git says; nothing if there is no git, no history, or no such revision."""
    try:
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, cwd=_ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return b""
    output, _ = await process.communicate()
    return output if process.returncode == 0 else b""
