"""The invocation of a command: its environment, and the options and questions that commands share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from memstream.client.command.failure import Failure


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a command gets besides its own arguments."""

    environment: Mapping[str, str]
    home: Path | None
    """The value of a `--home` before the command's name."""


HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Data directory of a local stack. [default: the MEMSTREAM_* variables if set, else ./.memstream]"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")]
AfterOption = Annotated[
    str | None, typer.Option(help="Only messages said at this time or later: 2026-01-31 or 2026-01-31T09:30+01:00.")
]
BeforeOption = Annotated[
    str | None, typer.Option(help="Only messages said before this time; local time if it has no time zone.")
]
MinRelevanceOption = Annotated[float | None, typer.Option(help="Leave out less relevant messages, 0 to 1.")]
SharedOption = Annotated[bool, typer.Option("--shared", help="Also search the documents of all users.")]


def confirm(question: str) -> None:
    """Ask for confirmation, on stderr.

    Raises:
        Failure: the answer is not yes, or there is none.

    """
    # `typer.confirm` writes a space to stdout, which is for results.
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    answer = typer.get_text_stream("stdin").readline()
    if not answer.endswith("\n"):
        typer.echo(err=True)
    if answer.strip().lower() not in {"y", "yes"}:
        raise Failure("nothing was done; use --yes to go ahead without being asked")


def parse_time(option: str, value: str | None) -> datetime | None:
    """Return the time that an option was given; without a time zone it is local time.

    Raises:
        Failure: the value is not a time.

    """
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError) as error:
        raise Failure(
            f"{option}: {value!r} is not a time such as 2026-01-31 or 2026-01-31T09:30:00+01:00", exit_code=2
        ) from error


def invocation_of(context: typer.Context) -> Invocation:
    """Return the invocation of a command."""
    found = context.find_object(Invocation)
    return found if found is not None else Invocation({}, None)
