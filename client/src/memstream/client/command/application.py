"""The command's table of contents: its own commands, and those that other distributions bring along.

A distribution joins through the entry point group `memstream.commands`: the entry point's name is the command's name,
and its object is a function as `typer.Typer.command` takes it. It raises `Failure` for what its user should read, and
gets the environment and `--home` through `invocation_of`. Only what the arguments name is imported.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated, Any

import typer

from memstream.client._errors import MemstreamClientError
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import Invocation

GROUP = "memstream.commands"

Function = Callable[..., Any]
Command = Function | typer.Typer

_OWN = {
    "context": "memstream.client.command.prompting",
    "export": "memstream.client.command.exporting",
    "forget": "memstream.client.command.forgetting",
    "send": "memstream.client.command.sending",
    "search": "memstream.client.command.searching",
    "status": "memstream.client.command.health",
}

_OWN_GROUPS = {"dlq": "memstream.client.command.dead_letters"}
"""Commands with commands of their own."""


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what the arguments say; give the exit code. Whatever goes wrong is said in one line on stderr."""
    try:
        result = _application(arguments, environment)(
            args=list(arguments), prog_name="memstream", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    except Failure as failure:
        return _complain(failure, failure.exit_code)
    except typer.TyperException as error:
        return _complain(f"{error.format_message()} (see memstream --help)", error.exit_code)
    except (MemstreamClientError, OSError) as error:
        return _complain(error, 1)
    except typer.Abort:
        return 1


def _complain(what: object, exit_code: int) -> int:
    typer.echo(f"memstream: {what}", err=True)
    return exit_code


def _application(arguments: Sequence[str], environment: Mapping[str, str]) -> typer.Typer:
    application = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @application.callback(invoke_without_command=True)
    def memstream(
        context: typer.Context,
        home: Annotated[Path | None, typer.Option(help="Folder of the embedded stack to talk to.")] = None,
        show_version: Annotated[  # noqa: FBT002 - a flag of the command line
            bool, typer.Option("--version", help="Show the version and exit.")
        ] = False,
    ) -> None:
        """Searchable memory for wearables and chat assistants.

        Services are found through --home, or MEMSTREAM_INGEST_URL, MEMSTREAM_RETRIEVER_URL and MEMSTREAM_API_KEY, or
        the stack that runs in ./.memstream.
        """
        context.obj = Invocation(environment, home)
        if show_version:
            typer.echo(f"memstream {version('memstream-client')}")
            raise typer.Exit
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    for name, load in _commands(arguments):
        command = load()
        if isinstance(command, typer.Typer):
            application.add_typer(command, name=name)
        else:
            application.command(name)(command)
    return application


def _commands(arguments: Sequence[str]) -> list[tuple[str, Callable[[], Command]]]:
    """Give the commands that the arguments name, or all of them when they name none."""
    table: dict[str, Callable[[], Command]] = {point.name: point.load for point in entry_points(group=GROUP)}
    table |= {name: partial(_own, name) for name in _OWN}
    table |= {name: partial(_own_group, name) for name in _OWN_GROUPS}
    named = [name for name in table if name in arguments]
    return [(name, table[name]) for name in named or sorted(table)]


def _own(name: str) -> Function:
    function: Function = getattr(import_module(_OWN[name]), name)
    return function


def _own_group(name: str) -> typer.Typer:
    group: typer.Typer = import_module(_OWN_GROUPS[name]).group()
    return group
