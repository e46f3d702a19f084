"""`memstream export`."""

import asyncio
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from memstream.client._errors import MemstreamClientError
from memstream.client._retries import Retries
from memstream.client.command.invocation import HomeOption
from memstream.client.command.progress import view_for
from memstream.client.command.searching import moment
from memstream.client.command.services import Services, services_for
from memstream.contracts.messages import MessageIn
from memstream.contracts.timelines import TimelineMessage

_RETRIES = Retries(deadline=float("inf"), unreachable=30.0)


class ExportFormat(StrEnum):
    """How messages are written."""

    JSONL = "jsonl"


def export(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="Whose messages; * for the documents of all users.")],
    *,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="jsonl: one message a line, as `memstream send` takes it.")
    ] = ExportFormat.JSONL,
    after: Annotated[str | None, typer.Option(help="Said then or later: 2026-01-31 or 2026-01-31T09:30+01:00.")] = None,
    before: Annotated[str | None, typer.Option(help="Said before; without a zone it is your local time.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Of this conversation, by its id.")] = None,
    home: HomeOption = None,
) -> None:
    """Write all that a user said to stdout, the oldest first, as `memstream send` takes it."""
    conditions = {
        "after": moment("--after", after),
        "before": moment("--before", before),
        "conversation_id": conversation,
    }
    fields = {name: value for name, value in conditions.items() if value is not None}
    writers = {ExportFormat.JSONL: _write_line}
    asyncio.run(_export(services_for(context, home), user, fields, writers[form]))


async def _export(
    services: Services, user: str, fields: dict[str, Any], write: Callable[[str, TimelineMessage], None]
) -> None:
    seconds = asyncio.get_running_loop().time
    with view_for(Console(stderr=True), None, seconds) as view:

        def say(error: MemstreamClientError, wait: float) -> None:
            view.note(f"{error}; next try in {wait:.1f} s")

        count = 0
        async with services.memory(_RETRIES, on_wait=say) as memory:
            async for message in memory.messages(user, **fields):
                write(user, message)
                count += 1
                view.advance(1, f"{count} exported")
        sys.stdout.flush()
        view.note(f"{count} exported")


def _write_line(user: str, message: TimelineMessage) -> None:
    # What was validated when it was posted is written as it is: the limits of another installation may be wider.
    line = MessageIn.model_construct(user_id=user, **message.model_dump(exclude={"recorded_at"}))
    sys.stdout.buffer.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
