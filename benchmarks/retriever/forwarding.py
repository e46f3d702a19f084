"""Runs the reference, a forwarder, as a separate process."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from benchmarks.http_client import HttpClient
from benchmarks.site import Failed
from memstream.local.stack.data_directory import ServerSecrets

_READY_SECONDS = 60.0


@contextlib.asynccontextmanager
async def forwarding(
    port: int, secrets: ServerSecrets, qdrant_url: str, *embeddings: str
) -> AsyncIterator[tuple[HttpClient, psutil.Process]]:
    """Run a forwarder to Qdrant, or to both servers; return a connection to it, and its process.

    `secrets` are the servers' keys; `embeddings` are the URL of the embeddings server and the name of its model, if it
    embeds the queries.

    Raises:
        Failed: it has ended.
        TimeoutError: it doesn't listen within a minute.

    """
    forwarder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.retriever.forwarder", qdrant_url, str(port), *embeddings),
        cwd=Path(__file__).parents[2],
        env={**os.environ, "QDRANT_API_KEY": secrets.qdrant_api_key, "OPENAI_API_KEY": secrets.embeddings_api_key},
    )
    client = HttpClient(f"http://127.0.0.1:{port}", "")
    try:
        await _listens(forwarder, port)
        yield client, psutil.Process(forwarder.pid)
    finally:
        client.close()
        with contextlib.suppress(ProcessLookupError):
            forwarder.terminate()
        await forwarder.wait()


async def _listens(forwarder: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(_READY_SECONDS):
        while forwarder.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            writer.close()
            return
    raise Failed("the forwarder has ended")
