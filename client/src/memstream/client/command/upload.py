"""`memstream send`: the upload of a file."""

import asyncio
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from memstream.client._errors import MemstreamClientError
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption, JsonOption
from memstream.client.command.jsonl import Rejection, batches, read_chunks
from memstream.client.command.progress import progress_display, retry_printer
from memstream.client.command.services import PATIENT_RETRIES, Services, services_for
from memstream.client.command.terminal import printable
from memstream.client.command.uploader import Uploader, UploadSummary, wait_until_searchable
from memstream.contracts.keys import Lane

_INTERRUPTED = 130
"""The exit code of a program that was ended by Ctrl-C."""


def send(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A file of JSON lines, one message each; - for stdin.")],
    *,
    lane: Annotated[str, typer.Option(help="live, or bulk for imports: they never delay live messages.")] = "live",
    bulk: Annotated[bool, typer.Option("--bulk", help="The same as --lane bulk.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all messages are searchable.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a file of messages. Sending it again adds no duplicates, so an interrupted run can be repeated."""
    services = services_for(context, home)
    chosen = _lane("bulk" if bulk else lane)
    summary = UploadSummary(keep_positions=wait)
    interrupted = False
    error: MemstreamClientError | None = None
    with _opened(file) as descriptor:
        try:
            asyncio.run(_send(services, descriptor, chosen, summary, Path(file).name))
        except KeyboardInterrupt:
            interrupted = True
        except MemstreamClientError as raised:
            error = raised
    _print_summary(summary, as_json=as_json, interrupted=interrupted, error=error)
    if error is not None:
        raise Failure(str(error))
    if interrupted:
        raise typer.Exit(_INTERRUPTED)
    if summary.rejected:
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
            raise Failure(f"{file} is a directory, not a file of JSON lines")
        yield descriptor
    finally:
        os.close(descriptor)


async def _send(services: Services, descriptor: int, lane: Lane, summary: UploadSummary, name: str) -> None:
    status = os.fstat(descriptor)
    file_bytes = status.st_size if stat.S_ISREG(status.st_mode) else None
    with progress_display(file_bytes) as display:

        def print_rejection(rejection: Rejection) -> None:
            display.print_line(printable(f"line {rejection.number} rejected: {rejection.reason}"))

        def show_left(count: int) -> None:
            display.advance(0, f"waiting for {count} to be searchable")

        async with services.memory(PATIENT_RETRIES, on_wait=retry_printer(display)) as memory:
            uploader = Uploader(memory, lane, summary, on_done=display.advance, on_rejected=print_rejection)
            await uploader.upload(batches(read_chunks(descriptor), source=name))
            if summary.positions:
                await wait_until_searchable(memory, summary, show_left)


def _print_summary(
    summary: UploadSummary, *, as_json: bool, interrupted: bool, error: MemstreamClientError | None
) -> None:
    if as_json:
        document = {
            "accepted": summary.accepted,
            "duplicates": summary.duplicates,
            "rejected": summary.rejected,
            "rejections": [
                {"line": rejection.number, "code": rejection.code, "message": rejection.reason}
                for rejection in sorted(summary.rejections, key=lambda rejection: rejection.number)
            ],
            "complete": not interrupted and error is None,
        }
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    typer.echo(summary.counts)
    if interrupted:
        typer.echo("memstream: interrupted; run it again to send the rest, nothing is added twice", err=True)
