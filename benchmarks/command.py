"""Running a benchmark from the command line: common options, a time limit, progress, and clean-up."""

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
_NOT_RECORDED = ("json", "run", "first_port", "folder", "qdrant_url")
_begun = time.perf_counter()

Measure = Callable[[argparse.Namespace, Record], Coroutine[Any, Any, None]]


def shared_options(*, rounds: int, within: float) -> argparse.ArgumentParser:
    """Return the options that every benchmark has, as a parent of its parser."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--rounds", type=int, default=rounds, help="measurements of each contender, in turn [%(default)s]"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first-port", type=int, default=_FIRST_PORT, help="where the search for free ports starts")
    parser.add_argument("--within", type=float, default=within, help="time limit in seconds [%(default)g]")
    parser.add_argument("--json", type=Path, help="file for the figures and all samples")
    return parser


def say(text: str) -> None:
    """Show progress."""
    minutes, seconds = divmod(int(time.perf_counter() - _begun), 60)
    print(f"[{minutes:3d}:{seconds:02d}] {text}", file=sys.stderr, flush=True)


def carry_out(benchmark: str, not_measured: list[str], measure: Measure, options: argparse.Namespace) -> None:
    """Run a benchmark, print its figures and write its record. All processes that it started are stopped.

    A run that is stopped or fails writes the figures it has so far, and the process exits with 1.
    """
    kept = {name: value for name, value in vars(options).items() if name not in _NOT_RECORDED}
    # Where files are on this machine is nobody's business.
    given = {name: value.name if isinstance(value, Path) else value for name, value in kept.items()}
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
    """Measure, and return why that did not finish; None if it did."""
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
            # A library may swallow a cancellation during a read: cancel again.
            measuring.cancel()
            await asyncio.wait([measuring], timeout=_CANCEL_SECONDS)
        return trouble
    try:
        measuring.result()
    except Failed as error:
        return str(error)
    return None
