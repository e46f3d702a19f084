"""Sends the worst inputs that the limits allow to running services, and measures what that does to everybody else.

    python -m benchmarks.worst_inputs [--service retriever] [--only TEXT] [--first-port 19200]

For each input: the status, the seconds until the answer, the longest stop of the service's event loop (beside it, how
much of it the process was on a core: the rest is others' use of the machine), and the process' memory afterwards.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import psutil

from benchmarks.command import say
from benchmarks.premises import Provider
from benchmarks.site import Site, opened
from benchmarks.worst_inputs import questions
from benchmarks.worst_inputs.cases import Case, Suite
from memstream.local.stack.plan import FIXED_PORTS
from memstream.local.stack.ports import free_base
from memstream.web.credentials import Credential, store_key

SUITES: Mapping[str, Callable[[], Suite]] = {"retriever": questions.suite}
"""The cases of each service."""

_TENANTS = ("t1", "t2")
_DIMENSIONS = 1536
_MIB = 2**20
_SECONDS = 120.0


async def _fill(site: Site, suite: Suite) -> None:
    for tenant in _TENANTS:
        headers = {"authorization": f"Bearer {tenant}"}
        async with httpx.AsyncClient(headers=headers, timeout=_SECONDS) as http:
            positions = []
            for start in range(0, len(suite.messages), 100):
                body = {"messages": [message.fields for message in suite.messages[start : start + 100]]}
                posted = await http.post(f"{site.plan.ingest_url}/v1/messages/batch", json=body)
                positions += [result["position"] for result in posted.raise_for_status().json()["results"]]
            for _ in range(20):
                waited: dict[str, Any] = {
                    "user_id": "x",
                    "query": "x",
                    "mode": "keyword",
                    "wait_for": positions[-1:],
                    "wait_timeout": 60,
                }
                answer = await http.post(f"{site.plan.retriever_url}/v1/search", json=waited)
                if not answer.raise_for_status().json()["pending"]:
                    break
    say(f"{await site.points()} points are stored")


async def _send(case: Case, url: str) -> tuple[list[int], float]:
    async with httpx.AsyncClient(timeout=_SECONDS, limits=httpx.Limits(max_connections=None)) as http:

        async def one(number: int) -> int:
            headers = {"authorization": f"Bearer {_TENANTS[number % len(_TENANTS)]}", "content-type": case.media}
            try:
                return (await http.post(url + case.path, content=case.body, headers=headers)).status_code
            except httpx.HTTPError:
                return 0

        started = time.perf_counter()
        statuses = await asyncio.gather(*(one(number) for number in range(case.at_once)))
        return sorted(set(statuses)), time.perf_counter() - started


async def _measure(case: Case, url: str, pid: int) -> dict[str, object]:
    process = psutil.Process(pid)
    peak = process.memory_info().rss
    async with httpx.AsyncClient(timeout=_SECONDS) as http:
        await http.get(f"{url}/probe")

        async def watch() -> None:
            nonlocal peak
            while True:
                peak = max(peak, process.memory_info().rss)
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        statuses, seconds = await _send(case, url)
        watching.cancel()
        stop = (await http.get(f"{url}/probe")).json()
    return {
        "case": case.name,
        "statuses": statuses,
        "seconds": round(seconds, 3),
        "stop_ms": round(1000 * stop["wall"], 1),
        "cpu_ms": round(1000 * stop["cpu"], 1),
        "peak_mib": round(peak / _MIB),
    }


async def measure(chosen: argparse.Namespace) -> None:
    """Start an installation, and send it every case."""
    suite = SUITES[chosen.service]()
    name = f"{chosen.service}-1"
    async with opened(Provider(dimensions=_DIMENSIONS), first_port=chosen.first_port) as site:
        await site.start("redis", "qdrant", "provider")
        await site.start("keys")
        await site.start("ingest-1", "embedder-1", "retriever-1")
        for tenant in _TENANTS:
            await store_key(site.redis, tenant, Credential(tenant))
        await _fill(site, suite)
        port = free_base(1, first=chosen.first_port + 10 * FIXED_PORTS)
        command = (sys.executable, "-m", "benchmarks.worst_inputs.probed", chosen.service)
        site.add("probed", name, port, *command)
        await site.start("probed")
        url, pid = site.url_of("probed"), site.process("probed")
        say(f"{psutil.Process(pid).memory_info().rss // _MIB} MiB before the first")
        rows = []
        for case in suite.cases:
            if any(part in case.name for part in chosen.only.split(",")):
                row = await _measure(case, url, pid)
                rows.append(row)
                print(
                    f"{row['case']:<56} {row['statuses']!s:<16} {row['seconds']:>8} s  stop {row['stop_ms']:>8} ms"
                    f" (CPU {row['cpu_ms']:>8} ms)  {row['peak_mib']:>5} MiB",
                    flush=True,
                )
        if chosen.json:
            chosen.json.write(json.dumps(rows, indent=1))


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.worst_inputs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--service", choices=SUITES, default="retriever")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with this, or one of several by commas")
    parser.add_argument("--first-port", type=int, default=19_200)
    parser.add_argument("--json", type=argparse.FileType("w"), help="file for the figures")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
