"""What every command is told, and the options they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


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


def invocation_of(context: typer.Context) -> Invocation:
    """Give what the command was called with."""
    found = context.find_object(Invocation)
    return found if found is not None else Invocation({}, None)
