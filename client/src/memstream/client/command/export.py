"""`memstream export`."""

import asyncio
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from memstream.client._options import TimelineOptions
from memstream.client.command.invocation import AfterOption, BeforeOption, HomeOption, parse_time
from memstream.client.command.progress import progress_display, retry_printer
from memstream.client.command.services import PATIENT_RETRIES, Services, services_for
from memstream.contracts.messages import MessageIn
from memstream.contracts.timelines import TimelineMessage


class ExportFormat(StrEnum):
    """The format of an export."""

    JSONL = "jsonl"


def export(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="The user whose messages to export; * for the documents of all users.")],
    *,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="jsonl: one message per line, as `memstream send` reads it.")
    ] = ExportFormat.JSONL,
    after: AfterOption = None,
    before: BeforeOption = None,
    conversation: Annotated[str | None, typer.Option(help="Only in the conversation with this id.")] = None,
    home: HomeOption = None,
) -> None:
    """Write a user's messages to stdout. The oldest comes first; `memstream send` reads the result."""
    options: TimelineOptions = {
        "after": parse_time("--after", after),
        "before": parse_time("--before", before),
        "conversation_id": conversation,
    }
    writers = {ExportFormat.JSONL: _write_line}
    asyncio.run(_export(services_for(context, home), user, options, writers[form]))


async def _export(
    services: Services, user: str, options: TimelineOptions, write: Callable[[str, TimelineMessage], None]
) -> None:
    with progress_display(None) as display:
        count = 0
        async with services.memory(PATIENT_RETRIES, on_wait=retry_printer(display)) as memory:
            async for message in memory.messages(user, **options):
                write(user, message)
                count += 1
                display.advance(1, f"{count} exported")
        sys.stdout.flush()
        display.print_line(f"{count} exported")


def _write_line(user: str, message: TimelineMessage) -> None:
    # Not validated again: the server that stored the message may have wider limits than the defaults.
    line = MessageIn.model_construct(user_id=user, **message.model_dump(exclude={"recorded_at"}))
    sys.stdout.buffer.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
