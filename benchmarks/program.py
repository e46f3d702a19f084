"""Programs that a benchmark runs to their end."""

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.site import Failed

_ROOT = Path(__file__).parents[1]


async def output(*command: str, settings: Mapping[str, str] | None = None) -> bytes:
    """Run a program, and return its output.

    Raises:
        Failed: it ended with another code than 0.

    """
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | (settings or {}), cwd=_ROOT, stdout=subprocess.PIPE
    )
    try:
        written, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Failed(f"{' '.join(command[1:3])} ended with {process.returncode}")
    return written


async def told(*command: str) -> dict[str, Any]:
    """Run a program, and return the JSON that it writes.

    Raises:
        Failed: it ended with another code than 0.

    """
    written: dict[str, Any] = json.loads(await output(*command))
    return written
