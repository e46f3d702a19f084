"""`memstream send`."""

import asyncio
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from memstream.client._errors import MemstreamClientError
from memstream.client._retries import Retries
from memstream.client.command.delivery import Delivery, Tally, until_searchable
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption, JsonOption
from memstream.client.command.lines import BadLine, batches, read_chunks
from memstream.client.command.progress import View, view_for
from memstream.client.command.searching import printable
from memstream.client.command.services import Services, services_for
from memstream.contracts.keys import Lane

_RETRIES = Retries(deadline=float("inf"), unreachable=30.0)
"""A service that says "later" is waited out; one that is not there at all, only as long as a restart takes."""

_INTERRUPTED = 130


def send(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="JSON lines, one message each; - reads them from stdin.")],
    *,
    lane: Annotated[str, typer.Option(help="live, or bulk for imports, which never delay live messages.")] = "live",
    bulk: Annotated[bool, typer.Option("--bulk", help="The same as --lane bulk.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Come back when all of it is searchable.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a file of messages. A second run of the same file adds nothing, so an interrupted one can be run again."""
    services = services_for(context, home)
    chosen = _lane("bulk" if bulk else lane)
    tally = Tally(keep_positions=wait)
    interrupted: bool = False
    error: MemstreamClientError | None = None
    with _opened(file) as descriptor:
        try:
            asyncio.run(_send(services, descriptor, chosen, tally, Path(file).name))
        except KeyboardInterrupt:
            interrupted = True
        except MemstreamClientError as raised:
            error = raised
    _summarise(tally, as_json=as_json, interrupted=interrupted, error=error)
    if error is not None:
        raise Failure(str(error))
    if interrupted:
        raise typer.Exit(_INTERRUPTED)
    if tally.rejected:
        raise typer.Exit(1)


def _lane(name: str) -> Lane:
    if name == "live":
        return "live"
    if name == "bulk":
        return "bulk"
    raise Failure(f"--lane takes live or bulk, not {name!r}", exit_code=2)


@contextmanager
def _opened(file: str) -> Iterator[int]:
    if file == "-":
        yield 0
        return
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        raise Failure(f"{file} can't be read: {error.strerror or error}") from error
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise Failure(f"{file} is a folder, not a file of JSON lines")
        yield descriptor
    finally:
        os.close(descriptor)


async def _send(services: Services, descriptor: int, lane: Lane, tally: Tally, name: str) -> None:
    status = os.fstat(descriptor)
    total = status.st_size if stat.S_ISREG(status.st_mode) else None
    with view_for(Console(stderr=True), total, asyncio.get_running_loop().time) as view:
        memory = services.memory(_RETRIES, on_wait=_waits(view))
        async with memory:
            delivery = Delivery(memory, lane, tally, on_done=view.advance, on_rejected=_rejections(view))
            await delivery.deliver(batches(read_chunks(descriptor), source=name))
            if tally.positions:
                await until_searchable(
                    memory, tally, lambda left: view.advance(0, f"waiting for {left} to be searchable")
                )


def _waits(view: View) -> Callable[[MemstreamClientError, float], None]:
    def say(error: MemstreamClientError, seconds: float) -> None:
        view.note(f"{error}; next try in {seconds:.1f} s")

    return say


def _rejections(view: View) -> Callable[[BadLine], None]:
    def say(line: BadLine) -> None:
        view.note(printable(f"line {line.number} rejected: {line.reason}"))

    return say


def _summarise(tally: Tally, *, as_json: bool, interrupted: bool, error: MemstreamClientError | None) -> None:
    if as_json:
        document = {
            "accepted": tally.accepted,
            "duplicates": tally.duplicates,
            "rejected": tally.rejected,
            "rejections": [
                {"line": bad.number, "code": bad.code, "message": bad.reason}
                for bad in sorted(tally.rejections, key=lambda bad: bad.number)
            ],
            "complete": not interrupted and error is None,
        }
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    typer.echo(tally.counts)
    if interrupted:
        typer.echo("memstream: interrupted; run it again for the rest, nothing is added twice", err=True)
