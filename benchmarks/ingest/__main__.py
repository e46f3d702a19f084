"""Compares ingest with its parts, in one run on one machine, each contender in a new process, in turn.

    python -m benchmarks.ingest [--rounds 3] [--seconds 5] [--json FILE]

- single messages: with an ASGI handler that does one XADD, with the same durability (`appendfsync always`);
- batches of 100: with redis-py's pipelined XADD.

With each rate comes the CPU time per message of the process, without Redis and the load generator: it hardly depends on
other load on the machine.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import psutil

from benchmarks.command import carry_out, say, shared_options
from benchmarks.program import output, told
from benchmarks.record import Record
from benchmarks.site import Failed
from memstream.local.stack.ports import free_base
from memstream.local.stack.valkey import server_binary

_NOT_MEASURED = ["several processes of ingest", "TLS, a network", "a slow disk"]
_ROOT = Path(__file__).parents[2]
_CONNECTIONS = 64
_CLIENTS = 4
_BATCH = 100
_PATIENCE = 30.0
_PAUSE = 0.05


def main() -> None:
    """Run the benchmark with the options of the command line."""
    shared = shared_options(rounds=3, within=900)
    parser = argparse.ArgumentParser(prog="benchmarks.ingest", description=__doc__.split("\n\n")[0], parents=[shared])
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds for each contender [%(default)g]")
    carry_out("ingest", _NOT_MEASURED, _measure, parser.parse_args())


async def _measure(options: argparse.Namespace, record: Record) -> None:
    redis_port = free_base(2, first=options.first_port)
    with tempfile.TemporaryDirectory() as folder:
        redis = (
            *(str(server_binary()), "--port", str(redis_port), "--dir", folder, "--bind", "127.0.0.1", "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "always"),
        )
        async with _running(*redis):
            bench = _Bench(f"redis://127.0.0.1:{redis_port}/0", redis_port + 1, options.seconds, record)
            for number in range(options.rounds):
                say(f"round {number + 1} of {options.rounds}")
                await bench.round()


class _Bench:
    """Runs one contender after the other on one Redis."""

    def __init__(self, redis_url: str, port: int, seconds: float, record: Record) -> None:
        self._redis_url = redis_url
        self._port = port
        self._seconds = seconds
        self._record = record

    async def round(self) -> None:
        """Measure every contender once."""
        module = (sys.executable, "-m")
        async with _running(*module, "benchmarks.ingest.bare", self._redis_url, str(self._port)) as bare:
            await self._answers("/")
            least = await self._load("bare", bare, "none", batch=1)
        done = await told(*module, "benchmarks.ingest.pipelined", self._redis_url, str(_CLIENTS), str(self._seconds))
        self._note("pipelined", done["per_second"], done["cpu_us"])
        settings = {"MEMSTREAM_INGEST_REDIS_URL": self._redis_url, "MEMSTREAM_INGEST_PORT": str(self._port)}
        key = (await output(*module, "memstream.ingest", "issue-key", "bench", settings=settings)).decode().strip()
        async with _running(*module, "memstream.ingest", settings=settings) as ingest:
            await self._answers("/health/ready")
            single = await self._load("ingest", ingest, key, batch=1)
            batches = await self._load(f"ingest, batches of {_BATCH}", ingest, key, batch=_BATCH)
        self._record.add("ingest / bare", "ratio", single / least, at_least=0.6)
        self._record.add("ingest in batches / pipelined", "ratio", batches / done["per_second"], at_least=0.6)

    async def _load(self, name: str, server: asyncio.subprocess.Process, key: str, *, batch: int) -> float:
        """Load a server, record its rate and the CPU time per message, and return the rate."""
        process = psutil.Process(server.pid)
        connections = _CONNECTIONS if batch == 1 else _CLIENTS
        before = _spent(process)
        done = await told(
            *(sys.executable, "-m", "benchmarks.ingest.load", f"http://127.0.0.1:{self._port}", key),
            *(str(connections), str(self._seconds), str(batch)),
        )
        rate = float(done["per_second"])
        self._note(name, rate, (_spent(process) - before) / (rate * self._seconds) * 1e6)
        return rate

    def _note(self, name: str, rate: float, cpu_us: float) -> None:
        self._record.add(name, "messages/s", rate)
        self._record.add(f"{name}, CPU per message", "us", cpu_us)

    async def _answers(self, path: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with httpx.AsyncClient() as http, asyncio.timeout(_PATIENCE):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        if (await http.get(f"http://127.0.0.1:{self._port}{path}")).is_success:
                            return
                    await asyncio.sleep(_PAUSE)
        raise Failed(f"nothing answers at {path}")


@contextlib.asynccontextmanager
async def _running(
    *command: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a server while the context is open."""
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | (settings or {}), cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
