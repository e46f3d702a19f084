"""`memstream dlq`: the dead letters, messages that could not be stored."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memstream.client._options import DeadLetterFilters
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption, JsonOption, confirm, parse_time
from memstream.client.command.progress import progress_display, retry_printer
from memstream.client.command.services import (
    INTERACTIVE_RETRIES,
    PATIENT_RETRIES,
    AdminService,
    admin_service_for,
)
from memstream.client.command.terminal import local_minute, printable
from memstream.contracts.dead_letters import DeadLetter, DeadLetterContent, LetterOutcome, LetterResult

_PAGE_SIZE = 500
_LETTERS_PER_REQUEST = 100
"""Few enough that the progress moves."""

Action = Literal["replay", "drop"]

_REMOVED: frozenset[LetterOutcome] = frozenset({"replayed", "dropped", "deleted"})
"""Outcomes after which the letter no longer exists."""

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of dead letters.")]
ClassOption = Annotated[str | None, typer.Option("--class", help="Only of this class: poison or unknown.")]
ReasonOption = Annotated[str | None, typer.Option(help="Only with this text in the reason.")]
TenantOption = Annotated[str | None, typer.Option(help="Only of this tenant.")]
DiedAfterOption = Annotated[
    str | None,
    typer.Option("--after", help="Only letters that died at this time or later: 2026-01-31 or 2026-01-31T09:30+01:00."),
]
DiedBeforeOption = Annotated[
    str | None,
    typer.Option("--before", help="Only letters that died before this time; local time if it has no time zone."),
]
AllOption = Annotated[bool, typer.Option("--all", help="All dead letters.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show which letters are selected.")]


def group() -> typer.Typer:
    """Return the group of commands."""
    commands = typer.Typer(
        help="Manage dead letters: messages that could not be stored. This needs an admin key, from the data directory "
        "of the stack or from MEMSTREAM_ADMIN_KEY.",
        rich_markup_mode=None,
    )

    @commands.callback(invoke_without_command=True)
    def dlq(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    commands.command("list")(list_letters)
    commands.command("show")(show)
    replay_help = "Replay dead letters, once their cause is fixed. Each letter is replayed at most once."
    commands.command("replay", help=replay_help)(_change_command("replay"))
    commands.command("drop", help="Remove dead letters permanently.")(_change_command("drop"))
    return commands


def list_letters(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    *,
    dead_class: ClassOption = None,
    reason: ReasonOption = None,
    tenant: TenantOption = None,
    after: DiedAfterOption = None,
    before: DiedBeforeOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the oldest first.")] = 100,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, the newest last."""
    filters = _filters(dead_class, reason, tenant, after, before)
    # One more than is shown tells whether there are more.
    found = asyncio.run(_find(admin_service_for(context, home), filters, limit + 1))
    letters, more = found[:limit], len(found) > limit
    if as_json:
        listed = [letter.model_dump(mode="json") for letter in letters]
        typer.echo(json.dumps({"letters": listed, "more": more}, indent=2, ensure_ascii=False))
        return
    _print(letters)
    if more:
        typer.echo(f"There are more: use --limit to show more than {limit}.", err=True)


def show(
    context: typer.Context,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `memstream dlq list` shows it.")],
    *,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a dead letter with its content."""
    letter = asyncio.run(_get(admin_service_for(context, home), letter_id))
    if as_json:
        typer.echo(letter.model_dump_json(indent=2))
        return
    for name, value in letter.model_dump(mode="json").items():
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
            typer.echo(f"{name:<12} {printable(text)}")


def _change_command(action: Action) -> Callable[..., None]:
    """Return the function of `dlq replay` or `dlq drop`: both select letters by the same options."""
    is_drop = action == "drop"

    def change(  # noqa: PLR0913 - one argument per option
        context: typer.Context,
        ids: IdsArgument = None,
        *,
        dead_class: ClassOption = None,
        reason: ReasonOption = None,
        tenant: TenantOption = None,
        after: DiedAfterOption = None,
        before: DiedBeforeOption = None,
        all_letters: AllOption = False,
        dry_run: DryRunOption = False,
        # A replay can't lose anything, so it never asks.
        yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.", hidden=not is_drop)] = False,
        home: HomeOption = None,
        as_json: JsonOption = False,
    ) -> None:
        filters = _filters(dead_class, reason, tenant, after, before)
        has_filters = any(value is not None for value in filters.values())
        if sum((bool(ids), has_filters, all_letters)) != 1:
            raise Failure(
                "select the letters: by ids, by filters such as --class and --reason, or with --all", exit_code=2
            )
        run = _Change(admin_service_for(context, home), action, dry_run=dry_run, as_json=as_json)
        run.execute(ids or [], filters, ask=is_drop and not yes)

    return change


@dataclass(frozen=True, slots=True)
class _Change:
    """A replay or drop of several letters."""

    service: AdminService
    action: Action
    dry_run: bool
    as_json: bool

    def execute(self, letter_ids: list[str], filters: DeadLetterFilters, *, ask: bool) -> None:
        """Select the letters, by their ids or else by filters; ask if wanted; change them; print the outcomes."""
        if not letter_ids:
            # All are selected before the first is changed: one that is replayed and dies again is a new letter.
            letters = asyncio.run(_find(self.service, filters, None))
            letter_ids = [letter.id for letter in letters]
            if self.dry_run and not self.as_json:
                _print(letters)
        if self.dry_run:
            self._print_selection(letter_ids)
            return
        if ask and letter_ids:
            confirm(f"Drop {_counted(len(letter_ids))} permanently?")
        self._print_results(asyncio.run(self._change(letter_ids)))

    def _print_selection(self, letter_ids: list[str]) -> None:
        if self.as_json:
            typer.echo(json.dumps({"dry_run": True, "ids": letter_ids}, indent=2))
        else:
            typer.echo(f"would {self.action} {_counted(len(letter_ids))}")

    async def _change(self, letter_ids: list[str]) -> list[LetterResult]:
        results: list[LetterResult] = []
        with progress_display(len(letter_ids)) as display:
            async with self.service.operator(PATIENT_RETRIES, on_wait=retry_printer(display)) as operator:
                call = operator.replay if self.action == "replay" else operator.drop
                for start in range(0, len(letter_ids), _LETTERS_PER_REQUEST):
                    part = letter_ids[start : start + _LETTERS_PER_REQUEST]
                    results += await call(part)
                    display.advance(len(part), _outcome_counts(results))
        return results

    def _print_results(self, results: list[LetterResult]) -> None:
        kept = [result for result in results if result.outcome not in _REMOVED]
        if self.as_json:
            listed = [result.model_dump(mode="json") for result in results]
            typer.echo(json.dumps({"results": listed}, indent=2, ensure_ascii=False))
        else:
            for result in kept:
                typer.echo(f"{printable(result.id)}: {result.outcome}", err=True)
            typer.echo(_outcome_counts(results))
        if kept:
            raise typer.Exit(1)


async def _find(service: AdminService, filters: DeadLetterFilters, limit: int | None) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    page_size = _PAGE_SIZE if limit is None else min(_PAGE_SIZE, limit)
    async with (
        service.operator(INTERACTIVE_RETRIES) as operator,
        aclosing(operator.dead_letters(limit=page_size, **filters)) as letters,
    ):
        async for letter in letters:
            found.append(letter)
            if len(found) == limit:
                break
    return found


async def _get(service: AdminService, letter_id: str) -> DeadLetterContent:
    async with service.operator(INTERACTIVE_RETRIES) as operator:
        return await operator.dead_letter(letter_id)


def _filters(
    dead_class: str | None, reason: str | None, tenant: str | None, after: str | None, before: str | None
) -> DeadLetterFilters:
    return {
        "dead_class": dead_class,
        "reason": reason,
        "tenant": tenant,
        "after": parse_time("--after", after),
        "before": parse_time("--before", before),
    }


def _counted(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"


def _outcome_counts(results: list[LetterResult]) -> str:
    counts = Counter(result.outcome for result in results)
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or _counted(0)


def _print(letters: list[DeadLetter]) -> None:
    if not letters:
        typer.echo("No dead letters.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "died", "class"):
        table.add_column(name, no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("message", overflow="fold")
    table.add_column("reason", overflow="fold", ratio=1)
    for letter in letters:
        message = " ".join(part for part in (letter.tenant, letter.user_id, letter.message_id) if part)
        table.add_row(
            letter.id,
            local_minute(letter.died_at),
            Text(printable(letter.dead_class or "")),
            str(letter.size),
            Text(printable(message)),
            Text(printable(letter.reason or "")),
        )
    Console().print(table)
