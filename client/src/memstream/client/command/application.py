"""The registry of commands: the client's own, and those that other distributions add.

A distribution adds a command with an entry point in the group `memstream.commands`: the entry point's name is the
command's name, and its object is a function as `typer.Typer.command` takes it, or a `typer.Typer`. The function raises
`Failure` with the message for its user, and gets the environment and `--home` from `invocation_of`. Only the commands
that the arguments name are imported.
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

ENTRY_POINT_GROUP = "memstream.commands"

Function = Callable[..., Any]
Command = Function | typer.Typer

_FUNCTIONS = {
    "context": "memstream.client.command.context:context",
    "delete": "memstream.client.command.deletion:delete",
    "export": "memstream.client.command.export:export",
    "forget": "memstream.client.command.deletion:delete",
    "search": "memstream.client.command.search:search",
    "send": "memstream.client.command.upload:send",
    "status": "memstream.client.command.status:status",
}
"""The client's own commands, as module and function."""

_GROUPS = {
    "dlq": "memstream.client.command.dead_letters:group",
    "keys": "memstream.client.command.keys:group",
    "tenants": "memstream.client.command.tenants:group",
}
"""Commands with subcommands, as module and the function that makes the group."""

_HIDDEN = frozenset({"forget"})
"""Former names of commands. They work, and the help doesn't list them."""


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command that the arguments name, and return its exit code. Errors are one line on stderr."""
    try:
        result = _application(arguments, environment)(
            args=list(arguments), prog_name="memstream", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    except Failure as failure:
        return _print_error(failure, failure.exit_code)
    except typer.TyperException as error:
        return _print_error(f"{error.format_message()} (see memstream --help)", error.exit_code)
    except (MemstreamClientError, OSError) as error:
        return _print_error(error, 1)
    except typer.Abort:
        return 1


def _print_error(error: object, exit_code: int) -> int:
    typer.echo(f"memstream: {error}", err=True)
    return exit_code


def _application(arguments: Sequence[str], environment: Mapping[str, str]) -> typer.Typer:
    application = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @application.callback(invoke_without_command=True)
    def memstream(
        context: typer.Context,
        home: Annotated[Path | None, typer.Option(help="Data directory of a local stack.")] = None,
        show_version: Annotated[  # noqa: FBT002 - a flag of the command line
            bool, typer.Option("--version", help="Show the version and exit.")
        ] = False,
    ) -> None:
        """Searchable memory for wearables and chat assistants.

        Commands use the stack in --home, or else the services given by MEMSTREAM_INGEST_URL, MEMSTREAM_RETRIEVER_URL
        and MEMSTREAM_API_KEY, or else the stack in ./.memstream.
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
            application.command(name, hidden=name in _HIDDEN)(command)
    return application


def _commands(arguments: Sequence[str]) -> list[tuple[str, Callable[[], Command]]]:
    """Return the commands that the arguments name, or all if they name none; each with what imports it."""
    table: dict[str, Callable[[], Command]] = {
        point.name: point.load for point in entry_points(group=ENTRY_POINT_GROUP)
    }
    table |= {name: partial(_imported, target) for name, target in _FUNCTIONS.items()}
    table |= {name: partial(_group, target) for name, target in _GROUPS.items()}
    named = [name for name in table if name in arguments]
    return [(name, table[name]) for name in named or sorted(table)]


def _imported(target: str) -> Function:
    module, _, name = target.partition(":")
    function: Function = getattr(import_module(module), name)
    return function


def _group(target: str) -> typer.Typer:
    group: typer.Typer = _imported(target)()
    return group
