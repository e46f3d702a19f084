"""Measures ingest against what it is made of, in one run on one machine, each contender in a fresh process, in turn.

    python benchmarks/ingest [--rounds 3] [--seconds 5] [--json FILE]

- single messages: against an ASGI handler that does one XADD, with the same durability (`appendfsync always`);
- batches of 100: against redis-py's pipelined XADD.

Not measured: several processes of ingest, TLS, a network, a slow disk.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from memstream.local.stack.valkey import server_binary

_HERE = Path(__file__).parent
_REDIS_PORT, _PORT = 18950, 18951
_CONNECTIONS = 64
_CLIENTS = 4


async def main() -> None:
    """Run as the command line says, and print medians and spreads."""
    parser = argparse.ArgumentParser(prog="benchmarks/ingest", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", type=Path, help="write all samples there")
    arguments = parser.parse_args()
    samples: dict[str, list[float]] = {"bare": [], "ingest": [], "pipelined": [], "ingest batches": []}
    with tempfile.TemporaryDirectory() as folder:
        redis = _start(
            str(server_binary()),
            *("--port", str(_REDIS_PORT), "--dir", folder, "--save", "", "--bind", "127.0.0.1"),
            *("--appendonly", "yes", "--appendfsync", "always"),
        )
        try:
            for _ in range(arguments.rounds):
                await _round(samples, arguments.seconds)
        finally:
            redis.terminate()
            redis.wait()
    _print(samples)
    if arguments.json:
        arguments.json.write_text(json.dumps(samples, indent=1))


async def _round(samples: dict[str, list[float]], seconds: float) -> None:
    redis_url = f"redis://127.0.0.1:{_REDIS_PORT}/0"
    environment = {"MEMSTREAM_INGEST_REDIS_URL": redis_url, "MEMSTREAM_INGEST_PORT": str(_PORT)}
    bare = _start(sys.executable, str(_HERE / "bare.py"), redis_url, str(_PORT))
    try:
        await _answers("/")
        samples["bare"].append(_load("none", seconds, 1))
    finally:
        bare.terminate()
        bare.wait()
    samples["pipelined"].append(_run("pipelined.py", redis_url, str(_CLIENTS), str(seconds))["per_second"])
    issue = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memstream.ingest", "issue-key", "bench"), env=environment, stdout=subprocess.PIPE
    )
    key = (await issue.communicate())[0].decode().strip()
    ingest = _start(sys.executable, "-m", "memstream.ingest", environment=environment)
    try:
        await _answers("/health/ready")
        samples["ingest"].append(_load(key, seconds, 1))
        samples["ingest batches"].append(_load(key, seconds, 100))
    finally:
        ingest.terminate()
        ingest.wait()


def _start(*command: str, environment: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _load(key: str, seconds: float, batch: int) -> float:
    connections = _CONNECTIONS if batch == 1 else _CLIENTS
    url = f"http://127.0.0.1:{_PORT}"
    return float(_run("load.py", url, key, str(connections), str(seconds), str(batch))["per_second"])


def _run(script: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(_HERE / script), *arguments], capture_output=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def _answers(path: str) -> None:
    async with httpx.AsyncClient() as http:
        for _ in range(300):
            try:
                if (await http.get(f"http://127.0.0.1:{_PORT}{path}")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise SystemExit(f"nothing answers at {path}")


def _print(samples: dict[str, Sequence[float]] | dict[str, list[float]]) -> None:
    for name, values in samples.items():
        print(f"{name:16}{statistics.median(values):9.0f} messages/s   ({min(values):.0f} to {max(values):.0f})")
    for ours, theirs in (("ingest", "bare"), ("ingest batches", "pipelined")):
        ratios = [one / other for one, other in zip(samples[ours], samples[theirs], strict=True)]
        print(f"{ours} / {theirs}: {statistics.median(ratios):.0%}   ({min(ratios):.0%} to {max(ratios):.0%})")


if __name__ == "__main__":
    asyncio.run(main())
