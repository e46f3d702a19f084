"""Running a benchmark from the command line: options that all have, a time limit, progress, and an orderly end."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.record import Record
from benchmarks.report import rows_of
from benchmarks.site import Failed
from memstream.runtime.clock import SystemClock

_FIRST_PORT = 19_200
_CANCEL_SECONDS = 1.0
_begun = time.perf_counter()

Measure = Callable[[argparse.Namespace, Record], Coroutine[Any, Any, None]]


def shared_options(*, rounds: int, within: float) -> argparse.ArgumentParser:
    """Make the options that every benchmark has, as a parent of its parser."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rounds", type=int, default=rounds, help="every contender so often, in turn [%(default)s]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first-port", type=int, default=_FIRST_PORT, help="free ports are looked for from there")
    parser.add_argument("--within", type=float, default=within, help="give up after so many seconds [%(default)g]")
    parser.add_argument("--json", type=Path, help="write figures and all samples there")
    return parser


def say(text: str) -> None:
    """Show progress."""
    minutes, seconds = divmod(int(time.perf_counter() - _begun), 60)
    print(f"[{minutes:3d}:{seconds:02d}] {text}", file=sys.stderr, flush=True)


def carry_out(benchmark: str, not_measured: list[str], measure: Measure, options: argparse.Namespace) -> None:
    """Run a benchmark, print its figures and write its record. What it started is ended, however it ends.

    A run that is stopped or fails writes what it has found until then, and the process ends with 1.
    """
    given = {name: value for name, value in vars(options).items() if name not in ("json", "run", "first_port")}
    record = Record(benchmark, not_measured, given)
    record.situate(SystemClock().now())
    trouble = _run(measure, options, record)
    record.conclude()
    if trouble:
        record.not_measured = [f"this run did not finish: {trouble.splitlines()[0]}", *record.not_measured]
    for line in record.not_measured:
        print(f"not measured: {line}")
    for row in rows_of(record.benchmark, record.figures):
        print(row.line())
    if options.json:
        record.write(options.json)
    if trouble:
        sys.exit(trouble)


def _run(measure: Measure, options: argparse.Namespace, record: Record) -> str | None:
    """Measure, and say why that did not come to its end; None when it did."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_bounded(measure, options, record))


async def _bounded(measure: Measure, options: argparse.Namespace, record: Record) -> str | None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    measuring, stopping = asyncio.create_task(measure(options, record)), asyncio.create_task(stop.wait())
    await asyncio.wait([measuring, stopping], timeout=options.within, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not measuring.done():
        trouble = "it was stopped" if stop.is_set() else f"it took longer than --within {options.within:g} seconds"
        while not measuring.done():
            # A library may swallow a cancellation that comes in the middle of a read; then it is said again.
            measuring.cancel()
            await asyncio.wait([measuring], timeout=_CANCEL_SECONDS)
        return trouble
    try:
        measuring.result()
    except Failed as error:
        return str(error)
    return None
