"""What every command is told, and the options they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from memstream.client.command.failure import Failure


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the command was called with, besides its own arguments."""

    environment: Mapping[str, str]
    home: Path | None
    """What `--home` says before the command's name."""


HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder of the embedded stack to talk to. [default: .memstream]")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask whether that is meant.")]


def confirm(question: str) -> None:
    """Ask, on stderr, whether that is meant.

    Raises:
        Failure: it isn't, or nobody answers.

    """
    # `typer.confirm` puts a blank on stdout, which is for results.
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    answer = typer.get_text_stream("stdin").readline()
    if not answer.endswith("\n"):
        typer.echo(err=True)
    if answer.strip().lower() not in {"y", "yes"}:
        raise Failure("nothing was done; --yes goes ahead without asking")


def invocation_of(context: typer.Context) -> Invocation:
    """Give what the command was called with."""
    found = context.find_object(Invocation)
    return found if found is not None else Invocation({}, None)
