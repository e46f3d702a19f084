"""Embeddings servers as processes of their own, one of each model for the whole test session."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from waiting import PATIENCE

COMMAND = [sys.executable, "-m", "memstream.local.embeddings"]


@contextmanager
def running(model: str, cache: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start a server on a free port; gives its URL up to /v1 once it is ready, and stops it at the end.

    Warnings fail here as they do in the tests: the server must have nothing to complain about.
    """
    command = [*COMMAND, "--port", "0", "--model", model, "--cache", str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            line = process.stdout.readline()
            found = re.search(r"http://\S+/v1$", line.rstrip())
            assert found, f"not a line that says where the server is: {line!r}"
            yield found[0], process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=PATIENCE)
        assert process.stderr.read() == ""


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the cache folder that all servers of the session share."""
    return tmp_path_factory.mktemp("embeddings-cache")


@pytest.fixture(scope="session")
def minilm_url(model_cache: Path) -> Iterator[str]:
    """Start a server with all-MiniLM-L6-v2; gives its base URL."""
    with running("minilm", model_cache) as (url, _):
        yield url


@pytest.fixture(scope="session")
def wordllama_url(model_cache: Path) -> Iterator[str]:
    """Start a server with wordllama-256; gives its base URL."""
    with running("wordllama", model_cache) as (url, _):
        yield url


@pytest.fixture(scope="session")
def start_embeddings() -> Callable[[str, Path], AbstractContextManager[tuple[str, subprocess.Popen[str]]]]:
    """Start a server of one's own: see `running`."""
    return running


@pytest.fixture(scope="session")
def run_embeddings() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command with arguments to its end."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={**os.environ, **environment},
        )

    return run
