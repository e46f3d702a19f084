"""Measures the embedded stack as its user meets it: start, memory, import, time to searchable, search.

    python benchmarks/stack.py --messages FILE.jsonl [--rate 20] [--seconds 30] [--json FILE]

The import is held against the bare rate of the same model: the same texts through the embeddings server alone, in the
same run. Not measured: more than one machine, a network, and providers with limits.
"""

import argparse
import asyncio
import json
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil

from memstream.contracts.stack import Stack
from memstream.vectors.space import render

_PORT_BASE = "18900"
_BATCH = 128
_CALLS = 2
_SEARCHES = 200


async def main() -> None:
    """Run as the command line says, and print a line a figure."""
    parser = argparse.ArgumentParser(prog="benchmarks/stack.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("--messages", type=Path, required=True, help="JSON lines in the shape a device posts")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--rate", type=float, default=20.0, help="messages a second, open loop")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path, help="write all figures and samples there")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.messages.open()]
    home = Path(tempfile.mkdtemp())
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(_memstream(), "up", "--home", str(home), "--model", arguments.model, "--port-base", _PORT_BASE),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        while not (home / "stack.json").exists():
            if process.returncode is not None:
                raise SystemExit("the stack did not start")
            await asyncio.sleep(0.01)
        report: dict[str, Any] = {"machine": _machine(), "ready_seconds": time.perf_counter() - started}
        stack = Stack.model_validate_json((home / "stack.json").read_bytes())
        await measure(stack, home, rows, arguments, report)
        report["resident_mib"] = _resident(process.pid)
        _print(report)
        if arguments.json:
            arguments.json.write_text(json.dumps(report, indent=1))
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
        shutil.rmtree(home)


async def measure(
    stack: Stack, home: Path, rows: Sequence[dict[str, Any]], arguments: argparse.Namespace, report: dict[str, Any]
) -> None:
    """Fill the report in, one measurement after the other."""
    before = await bare_rate(stack, rows)
    report["import"] = await import_file(home, arguments.messages)
    report["import_again"] = await import_file(home, arguments.messages)
    after = await bare_rate(stack, rows)
    report["bare_texts_per_second"] = [before, after]
    report["import_share_of_bare"] = report["import"]["per_second"] / statistics.mean([before, after])
    async with _http(stack) as http:
        report["search_ms"] = await searches(http, stack, rows)
        report["searchable_ms"] = await searchable(http, stack, arguments.rate, arguments.seconds)


async def bare_rate(stack: Stack, rows: Sequence[dict[str, Any]]) -> float:
    """Embed the messages' texts with the embeddings server alone; texts a second."""
    texts = [
        render(
            row["text"],
            speaker=row.get("speaker"),
            role=row.get("role", "user"),
            occurred_at=datetime.fromisoformat(row["occurred_at"]),
        )
        for row in rows
    ]
    client = openai.AsyncOpenAI(base_url=stack.embeddings_url, api_key="local", max_retries=0)
    gate = asyncio.Semaphore(_CALLS)

    async def call(batch: list[str]) -> None:
        async with gate:
            await client.embeddings.create(model=stack.embedding_model, input=batch, encoding_format="base64")

    started = time.perf_counter()
    await asyncio.gather(*(call(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)))
    took = time.perf_counter() - started
    await client.close()
    return len(texts) / took


async def import_file(home: Path, file: Path) -> dict[str, float]:
    """Send a file with the command and wait until all of it is searchable."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(_memstream(), "send", str(file), "--wait", "--json", "--home", str(home)), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    took = time.perf_counter() - started
    counts = json.loads(output)
    return {**counts, "seconds": took, "per_second": counts["accepted"] / took}


async def searches(http: httpx.AsyncClient, stack: Stack, rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Ask one question after the other, each for the first time; milliseconds."""
    samples = []
    step = max(1, len(rows) // _SEARCHES)
    for row in rows[::step][:_SEARCHES]:
        body = {"user_id": row["user_id"], "query": f"What was said about {row['text'][:80]}"}
        started = time.perf_counter()
        answer = await http.post(f"{stack.retriever_url}/v1/search", json=body)
        answer.raise_for_status()
        samples.append((time.perf_counter() - started) * 1000)
    return _percentiles(samples)


async def searchable(http: httpx.AsyncClient, stack: Stack, rate: float, seconds: float) -> dict[str, float]:
    """Post at a steady rate whatever happens, and ask for each message at once; milliseconds from its POST."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    probes = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begin + number / rate - loop.time()))
        probes.append(asyncio.create_task(_probe(http, stack, number)))
    return _percentiles(await asyncio.gather(*probes))


async def _probe(http: httpx.AsyncClient, stack: Stack, number: int) -> float:
    user = f"probe-{number}"
    text = f"The locker number {number} has the code {number * 7919 % 10000}"
    started = time.perf_counter()
    posted = await http.post(f"{stack.ingest_url}/v1/messages", json={"user_id": user, "text": text})
    posted.raise_for_status()
    body = {"user_id": user, "query": text, "mode": "keyword", "wait_for": [posted.json()["position"]]}
    found = await http.post(f"{stack.retriever_url}/v1/search", json=body)
    found.raise_for_status()
    took = (time.perf_counter() - started) * 1000
    if [hit["text"] for hit in found.json()["hits"]] != [text]:
        raise SystemExit(f"not found after {took:.0f} ms: {text}")
    return took


def _http(stack: Stack) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers={"Authorization": f"Bearer {stack.api_key}"}, timeout=60)


def _memstream() -> str:
    return str(Path(sys.executable).with_name("memstream"))


def _machine() -> dict[str, Any]:
    return {"cores": psutil.cpu_count(), "python": platform.python_version(), "system": platform.system()}


def _resident(pid: int) -> float:
    """Give the resident memory of a process and all below it, in MiB; shared pages count once for each."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(process.memory_info().rss for process in family) / 2**20


def _percentiles(samples: Sequence[float]) -> dict[str, float]:
    ranked = sorted(samples)
    return {f"p{p}": ranked[min(len(ranked) - 1, len(ranked) * p // 100)] for p in (50, 95, 99)} | {"n": len(ranked)}


def _print(report: dict[str, Any]) -> None:
    sent = report["import"]
    print(f"ready after            {report['ready_seconds']:.1f} s")
    print(f"resident, all parts    {report['resident_mib']:.0f} MiB")
    print(f"import                 {sent['accepted']} accepted, searchable after {sent['seconds']:.1f} s")
    print(f"                       {sent['per_second']:.0f} messages/s, {report['import_share_of_bare']:.0%} of bare")
    print(f"bare rate              {' and '.join(f'{rate:.0f}' for rate in report['bare_texts_per_second'])} texts/s")
    print(f"the same file again    {report['import_again']['accepted']} accepted")
    for name, title in (("search_ms", "search"), ("searchable_ms", "POST to searchable")):
        figures = report[name]
        print(f"{title:22} p50 {figures['p50']:.1f} ms, p95 {figures['p95']:.1f} ms, p99 {figures['p99']:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
