"""What a worker costs: seconds until it is ready, memory, and processor time a message, with no provider in the way.

    python benchmarks/embedder/lean.py [--messages 50000] [--backlog 1000000] [--texts FILE.jsonl] [--json FILE]

A real Redis and the embedded Qdrant server as `memstream up` starts them, the simulated provider without limits, and
one worker. The backlog lies in the stream before the worker is started; it is measured until the first `--messages` of
it are stored. Rates a core are messages per second of the
worker's own processor time: on two cores the other processes keep it waiting, which the plain rate shows. Not measured:
a network, and a Qdrant server that is not the embedded one.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import psutil
import redis

from memstream.contracts import keys
from memstream.contracts.events import MessageRecorded
from memstream.local.stack.child import Child
from memstream.local.stack.home import Home
from memstream.local.stack.plan import Plan

_ROOT = Path(__file__).parents[2]
_WAIT = 60.0
_SAMPLE = 0.1
_APPENDED_AT_ONCE = 2000
_USERS = 500
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of one worker; memory is what is resident, in MiB."""

    messages: int
    backlog: int
    dimensions: int
    text_bytes: float
    """Of a message, on average."""
    ready_seconds: float
    ready_cpu_seconds: float
    idle_mib: float
    backlog_mib: Sequence[float]
    """After each tenth of the time that the backlog took."""
    peak_mib: float
    cpu_us_per_message: float
    messages_per_core_second: float
    messages_per_second: float
    others_us_per_message: Mapping[str, float]
    """Processor time of the other processes, a message."""


def main() -> None:
    """Measure once, and print a line a figure."""
    parser = argparse.ArgumentParser(prog="benchmarks/embedder/lean.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--backlog", type=int, default=0, help="if it is larger than what is measured")
    parser.add_argument("--texts", type=Path, help="JSON lines with a `text` each; without it texts are made up")
    parser.add_argument("--words", type=int, default=12, help="of a text, where they are made up")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--port-base", type=int, default=19100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = measure(arguments)
    for name, value in asdict(report).items():
        print(f"{name:26}", value)
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=1))


def measure(arguments: argparse.Namespace) -> Report:
    """Start everything, let the worker empty the backlog, and stop everything."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as parts:
        home = Home(Path(folder))
        home.create()
        plan = Plan(home, port_base=arguments.port_base)
        children = {child.name: child for stage in plan.stages() for child in stage}
        port = str(children["embeddings"].port)
        provider = ("-m", "tests.provider", "--port", port, "--dimensions", str(arguments.dimensions))
        commands = {
            "redis": children["redis"].argv,
            "qdrant": children["qdrant"].argv,
            "provider": [sys.executable, *provider],
        }
        others = {name: psutil.Process(parts.enter_context(running(argv)).pid) for name, argv in commands.items()}
        client = redis.Redis.from_url(plan.redis_url)
        until(lambda: answers_ping(client))
        until(lambda: answers(f"{plan.qdrant_url}/readyz"))
        worker = children["embedder-1"]
        settings = {
            "MEMSTREAM_EMBEDDER_EMBEDDINGS_MODEL": "simulated",
            "MEMSTREAM_EMBEDDER_EMBEDDINGS_DIMENSIONS": str(arguments.dimensions),
        }
        with working(worker, settings):
            # The collection is made, and every file is in the system's cache.
            pass
        with working(worker, settings) as (process, ready_seconds):
            idle_mib = resident(process)
            ready_cpu = processor_time(process)
        backlog = max(arguments.backlog, arguments.messages)
        written = append(client, texts(arguments), backlog)
        before = {name: processor_time(other) for name, other in others.items()}
        with working(worker, settings) as (process, _):
            samples, seconds, done = work_off(client, process, arguments.messages)
            cpu = processor_time(process) - ready_cpu
        per_message = {
            name: round((processor_time(other) - before[name]) / done * 1e6, 1) for name, other in others.items()
        }
        tenths = [samples[min(len(samples) - 1, len(samples) * n // 10)] for n in range(1, 11)]
    return Report(
        messages=done,
        backlog=backlog,
        dimensions=arguments.dimensions,
        text_bytes=round(written / backlog, 1),
        ready_seconds=round(ready_seconds, 2),
        ready_cpu_seconds=round(ready_cpu, 2),
        idle_mib=idle_mib,
        backlog_mib=tenths,
        peak_mib=max(samples),
        cpu_us_per_message=round(cpu / done * 1e6, 1),
        messages_per_core_second=round(done / cpu),
        messages_per_second=round(done / seconds),
        others_us_per_message=per_message,
    )


def texts(arguments: argparse.Namespace) -> Iterator[str]:
    """Give texts without end, no two of them alike."""
    chance = Random(arguments.seed)  # noqa: S311 - nothing secret is made from it
    if arguments.texts:
        given = [json.loads(line)["text"] for line in arguments.texts.open()]
    else:
        words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(5000)]
        given = [" ".join(chance.choices(words, k=arguments.words)) for _ in range(10_000)]
    number = 0
    while True:
        number += 1
        yield f"{given[number % len(given)]} ({number})"


def append(client: "redis.Redis", source: Iterator[str], count: int) -> int:
    """Put the backlog on the stream, and give the bytes of its texts."""
    written = 0
    for start in range(0, count, _APPENDED_AT_ONCE):
        pipe = client.pipeline(transaction=False)
        for number in range(start, min(count, start + _APPENDED_AT_ONCE)):
            text = next(source)
            written += len(text.encode())
            said = _BEGIN + timedelta(seconds=number)
            event = MessageRecorded(
                tenant="acme",
                user_id=f"user-{number % _USERS}",
                message_id=f"m-{number}",
                conversation_id=f"c-{number % _USERS}-{number // 5000}",
                speaker="Mara",
                text=text,
                occurred_at=said,
                recorded_at=said,
            )
            pipe.xadd(keys.stream(0, "live"), {keys.TYPE_FIELD: event.type, keys.DATA_FIELD: event.model_dump_json()})
        pipe.execute()
    return written


def work_off(client: "redis.Redis", process: psutil.Process, count: int) -> tuple[list[float], float, int]:
    """Wait until so many are acknowledged; give samples of the memory, the seconds it took, and how many they were."""
    samples: list[float] = []
    started = time.perf_counter()
    while True:
        samples.append(resident(process))
        group = client.xinfo_groups(keys.stream(0, "live"))[0]
        done = (group["entries-read"] or 0) - group["pending"]
        if done >= count:
            return samples, time.perf_counter() - started, done
        time.sleep(_SAMPLE)


@contextlib.contextmanager
def working(worker: Child, settings: Mapping[str, str]) -> "Iterator[tuple[psutil.Process, float]]":
    """Run the worker; gives its process and the seconds it took until it was ready."""
    started = time.perf_counter()
    with running(worker.argv, {**worker.environment, **settings}) as process:
        until(lambda: answers(f"{worker.url}/health/ready"))
        yield psutil.Process(process.pid), time.perf_counter() - started


@contextlib.contextmanager
def running(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a process, and stop it as an operator does."""
    process = subprocess.Popen(argv, cwd=_ROOT, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def until(predicate: Callable[[], bool]) -> None:
    """Wait for a part to be there."""
    end = time.perf_counter() + _WAIT
    while not predicate():
        if time.perf_counter() > end:
            raise SystemExit("a part did not start")
        time.sleep(0.01)


def answers_ping(client: "redis.Redis") -> bool:
    """Say whether Redis answers."""
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False


def answers(url: str) -> bool:
    """Say whether a URL answers as it should."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - a URL of this file's own
            return bool(answer.status == 200)  # noqa: PLR2004 - as it should
    except OSError:
        return False


def resident(process: psutil.Process) -> float:
    """Give the memory of a process that is resident, in MiB."""
    return round(process.memory_info().rss / _MIB, 1)


def processor_time(process: psutil.Process) -> float:
    """Give the seconds of processor time a process has taken, the system's on its behalf included."""
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
