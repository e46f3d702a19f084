"""Measures the local stack as a user sees it: start, memory, import, time to searchable, search.

    python -m benchmarks.stack [--messages FILE.jsonl] [--rate 20] [--seconds 30] [--json FILE]

The import is compared with the model alone: the same texts, sent to the embeddings server, in the same run, before and
after the import.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil

from benchmarks.arrivals import Arrivals
from benchmarks.backlog import Messages
from benchmarks.command import carry_out, say, shared_options
from benchmarks.record import Record
from benchmarks.site import Failed
from memstream.contracts.stack import Stack
from memstream.local.stack.plan import FIXED_PORTS
from memstream.local.stack.ports import free_base
from memstream.vectors.space import render

_NOT_MEASURED = ["more than one machine", "a network", "providers with limits"]
_BATCH = 128
_CALLS = 2
_SEARCHES = 200
_OCCURRED_AT = "2026-01-31T09:30:00Z"

_Rows = Sequence[dict[str, Any]]


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Run one stack per round, and measure one thing after the other."""
    for number in range(1, chosen.rounds + 1):
        with tempfile.TemporaryDirectory(prefix="memstream-bench-", ignore_cleanup_errors=True) as folder:
            file = chosen.messages or _made_up(Path(folder), chosen.seed, chosen.count)
            rows = [json.loads(line) for line in file.open()]
            say(f"round {number} of {chosen.rounds}: the stack starts")
            async with _up(Path(folder) / "home", chosen) as up:
                record.add("ready after", "s", up.ready_seconds)
                await _import(up, file, rows, record)
                async with _http(up.stack) as http:
                    say(f"{min(_SEARCHES, len(rows))} searches")
                    _note(record, "search", await _searches(http, up.stack, rows))
                    say(f"{chosen.rate:g} messages/s for {chosen.seconds:g} s")
                    times = await _searchable(http, up.stack, chosen)
                    _note(record, f"from POST to searchable, {chosen.rate:g} messages/s", times)
                record.add("resident, all parts", "MiB", up.resident_mib())


@dataclass(frozen=True, slots=True)
class _Up:
    """A running stack."""

    home: Path
    stack: Stack
    pid: int
    ready_seconds: float

    def resident_mib(self) -> float:
        """Return the resident memory of all processes; shared pages count once for each."""
        family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        return sum(process.memory_info().rss for process in family) / 2**20


@contextlib.asynccontextmanager
async def _up(home: Path, chosen: argparse.Namespace) -> AsyncIterator[_Up]:
    started = time.perf_counter()
    port_base = str(free_base(FIXED_PORTS + 1, first=chosen.first_port))
    process = await asyncio.create_subprocess_exec(
        *(_memstream(), "up", "--home", str(home), "--model", chosen.model, "--port-base", port_base),
        stdout=asyncio.subprocess.DEVNULL,
        # Ctrl-C is for this process; it ends the stack itself.
        start_new_session=True,
    )
    try:
        while not (home / "stack.json").exists():
            if process.returncode is not None:
                raise Failed("the stack did not start")
            await asyncio.sleep(0.01)
        took = time.perf_counter() - started
        yield _Up(home, Stack.model_validate_json((home / "stack.json").read_bytes()), process.pid, took)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _import(up: _Up, file: Path, rows: _Rows, record: Record) -> None:
    say(f"{len(rows):,} messages, embedded alone, imported, and embedded alone again")
    before = await _bare_rate(up.stack, rows)
    rate, accepted = await _import_file(up.home, file)
    _, again = await _import_file(up.home, file)
    after = await _bare_rate(up.stack, rows)
    record.add("bare rate, before", "texts/s", before)
    record.add("bare rate, after", "texts/s", after)
    record.add("import, until searchable", "messages/s", rate)
    record.add("import / bare", "ratio", rate / statistics.mean([before, after]))
    record.add("accepted", "", accepted)
    record.add("accepted of the same file again", "", again, at_most=0)


async def _bare_rate(stack: Stack, rows: _Rows) -> float:
    """Embed the messages' texts with the embeddings server alone; return the texts per second."""
    texts = [
        render(
            row["text"],
            speaker=row.get("speaker"),
            role=row.get("role", "user"),
            occurred_at=datetime.fromisoformat(row.get("occurred_at", _OCCURRED_AT)),
        )
        for row in rows
    ]
    gate = asyncio.Semaphore(_CALLS)
    async with openai.AsyncOpenAI(
        base_url=stack.embeddings_url, api_key=stack.embeddings_api_key, max_retries=0
    ) as client:

        async def call(batch: list[str]) -> None:
            async with gate:
                await client.embeddings.create(model=stack.embedding_model, input=batch, encoding_format="base64")

        started = time.perf_counter()
        await asyncio.gather(*(call(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)))
        return len(texts) / (time.perf_counter() - started)


async def _import_file(home: Path, file: Path) -> tuple[float, int]:
    """Send a file with the command and wait until all is searchable; return lines per second, and how many were new."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(_memstream(), "send", str(file), "--wait", "--json", "--home", str(home)), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise Failed(f"memstream send ended with {process.returncode}")
    counts = json.loads(output)
    return (counts["accepted"] + counts["duplicates"]) / (time.perf_counter() - started), counts["accepted"]


async def _searches(http: httpx.AsyncClient, stack: Stack, rows: _Rows) -> list[float]:
    """Search for one question after the other, each for the first time; return the seconds."""
    times = []
    for row in rows[:: max(1, len(rows) // _SEARCHES)][:_SEARCHES]:
        body = {"user_id": row["user_id"], "query": f"What was said about {row['text'][:80]}"}
        started = time.perf_counter()
        (await http.post(f"{stack.retriever_url}/v1/search", json=body)).raise_for_status()
        times.append(time.perf_counter() - started)
    return times


async def _searchable(http: httpx.AsyncClient, stack: Stack, chosen: argparse.Namespace) -> list[float]:
    """Post in open loop, and search for each message at once; return the seconds from the time when it was due."""
    end = time.perf_counter() + chosen.seconds
    times: list[float] = []

    async def probe(number: int, due: float) -> None:
        user, text = f"probe-{number}", f"The locker number {number} has the code {number * 7919 % 10000}"
        posted = await http.post(f"{stack.ingest_url}/v1/messages", json={"user_id": user, "text": text})
        position = posted.raise_for_status().json()["position"]
        body = {"user_id": user, "query": text, "mode": "keyword", "wait_for": [position], "wait_timeout": 30}
        found = await http.post(f"{stack.retriever_url}/v1/search", json=body)
        times.append(time.perf_counter() - due)
        if [hit["text"] for hit in found.raise_for_status().json()["hits"]] != [text]:
            raise Failed(f"not found: {text}")

    try:
        await Arrivals(chosen.rate, chosen.seed).run(probe, until=lambda: time.perf_counter() > end)
    except* (Failed, httpx.HTTPError) as errors:
        raise Failed(f"a message was not accepted or not found: {errors.exceptions[0]}") from errors
    return times


def _note(record: Record, name: str, seconds: Sequence[float]) -> None:
    ranked = sorted(1000 * one for one in seconds)
    for percent in (50, 95, 99):
        record.add(f"{name}, p{percent}", "ms", ranked[min(len(ranked) - 1, len(ranked) * percent // 100)])
    record.samples.setdefault(f"{name}, ms", []).append([round(1000 * one, 2) for one in seconds])


def _made_up(folder: Path, seed: int, count: int) -> Path:
    """Write generated messages to a file."""
    messages, file = Messages(seed), folder / "messages.jsonl"
    rows = (
        {
            "user_id": messages.user(number),
            "message_id": f"m-{number}",
            "text": messages.text(number),
            "occurred_at": _OCCURRED_AT,
        }
        for number in range(count)
    )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def _http(stack: Stack) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers={"Authorization": f"Bearer {stack.api_key}"}, timeout=60)


def _memstream() -> str:
    return str(Path(sys.executable).with_name("memstream"))


def main() -> None:
    """Run the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stack",
        description=__doc__.split("\n\n")[0],
        parents=[shared_options(rounds=1, within=3600.0)],
    )
    parser.add_argument("--messages", type=Path, help="JSON lines as a device posts them [generated ones]")
    parser.add_argument("--count", type=int, default=3000, help="number of generated messages [%(default)d]")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--rate", type=float, default=20.0, help="messages a second, open loop [%(default)g]")
    parser.add_argument("--seconds", type=float, default=30.0)
    carry_out("stack", _NOT_MEASURED, measure, parser.parse_args())


if __name__ == "__main__":
    main()
