"""Measures ingest against what it is made of, in one run on one machine, each contender in a fresh process, in turn.

    python benchmarks/ingest [--rounds 3] [--seconds 5] [--json FILE]

- single messages: against an ASGI handler that does one XADD, with the same durability (`appendfsync always`);
- batches of 100: against redis-py's pipelined XADD.

Beside each rate stands what a message costs its process in CPU, without Redis and without those that ask: that hardly
depends on what else the machine does. Not measured: several processes of ingest, TLS, a network, a slow disk.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import psutil

from memstream.local.stack.valkey import server_binary

_HERE = Path(__file__).parent
_REDIS_PORT, _PORT = 18950, 18951
_CONNECTIONS = 64
_CLIENTS = 4
_CONTENDERS = ("bare", "ingest", "pipelined", "ingest batches")

Samples = dict[str, list[float]]
"""By contender: messages a second, and microseconds of CPU a message."""


async def main() -> None:
    """Run as the command line says, and print medians and spreads."""
    parser = argparse.ArgumentParser(prog="benchmarks/ingest", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", type=Path, help="write all samples there")
    arguments = parser.parse_args()
    samples: Samples = {name: [] for contender in _CONTENDERS for name in (contender, _cpu(contender))}
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


async def _round(samples: Samples, seconds: float) -> None:
    redis_url = f"redis://127.0.0.1:{_REDIS_PORT}/0"
    environment = {"MEMSTREAM_INGEST_REDIS_URL": redis_url, "MEMSTREAM_INGEST_PORT": str(_PORT)}
    bare = _start(sys.executable, str(_HERE / "bare.py"), redis_url, str(_PORT))
    try:
        await _answers("/")
        _load(samples, "bare", bare, "none", seconds=seconds, batch=1)
    finally:
        bare.terminate()
        bare.wait()
    _pipelined(samples, redis_url, seconds)
    issue = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memstream.ingest", "issue-key", "bench"), env=environment, stdout=subprocess.PIPE
    )
    key = (await issue.communicate())[0].decode().strip()
    ingest = _start(sys.executable, "-m", "memstream.ingest", environment=environment)
    try:
        await _answers("/health/ready")
        _load(samples, "ingest", ingest, key, seconds=seconds, batch=1)
        _load(samples, "ingest batches", ingest, key, seconds=seconds, batch=100)
    finally:
        ingest.terminate()
        ingest.wait()


def _start(*command: str, environment: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _load(  # noqa: PLR0913 - one measurement, in full
    samples: Samples, name: str, server: "subprocess.Popen[bytes]", key: str, *, seconds: float, batch: int
) -> None:
    """Load a server, and note its rate and what a message cost it."""
    connections = _CONNECTIONS if batch == 1 else _CLIENTS
    process = psutil.Process(server.pid)
    before = _spent(process)
    done = _run("load.py", f"http://127.0.0.1:{_PORT}", key, str(connections), str(seconds), str(batch))
    samples[name].append(done["per_second"])
    samples[_cpu(name)].append((_spent(process) - before) / (done["per_second"] * seconds) * 1e6)


def _pipelined(samples: Samples, redis_url: str, seconds: float) -> None:
    done = _run("pipelined.py", redis_url, str(_CLIENTS), str(seconds))
    samples["pipelined"].append(done["per_second"])
    samples[_cpu("pipelined")].append(done["cpu_us"])


def _cpu(contender: str) -> str:
    return f"{contender}, CPU"


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


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


def _print(samples: Samples) -> None:
    for name in _CONTENDERS:
        rates, costs = samples[name], samples[_cpu(name)]
        spread = f"({min(rates):.0f} to {max(rates):.0f})"
        rate, cost = statistics.median(rates), statistics.median(costs)
        print(f"{name:16}{rate:9.0f} messages/s   {spread:20}{cost:6.0f} us of CPU a message")
    for ours, theirs in (("ingest", "bare"), ("ingest batches", "pipelined")):
        ratios = [one / other for one, other in zip(samples[ours], samples[theirs], strict=True)]
        print(f"{ours} / {theirs}: {statistics.median(ratios):.0%}   ({min(ratios):.0%} to {max(ratios):.0%})")


if __name__ == "__main__":
    asyncio.run(main())
