"""`memstream dlq`: the messages that could not be stored."""

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

from memstream.client._errors import MemstreamClientError
from memstream.client._retries import Retries
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption, JsonOption, YesOption, confirm
from memstream.client.command.progress import View, view_for
from memstream.client.command.searching import moment, printable
from memstream.client.command.services import Operations, operations_for
from memstream.contracts.dead_letters import DeadLetter, DeadLetterContent, LetterOutcome, LetterResult

_RETRIES = Retries(deadline=20.0, unreachable=2.0)
_PATIENT = Retries(deadline=float("inf"), unreachable=30.0)
"""For long work: a service that says "later" is waited out."""

_PAGE = 500
_AT_ONCE = 100
"""Letters in one request: few enough that the progress moves."""

Action = Literal["replay", "drop"]

_GONE: frozenset[LetterOutcome] = frozenset({"replayed", "dropped", "deleted"})

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids of dead letters.")]
ClassOption = Annotated[str | None, typer.Option("--class", help="poison or unknown.")]
ReasonOption = Annotated[str | None, typer.Option(help="A part of the reason.")]
TenantOption = Annotated[str | None, typer.Option(help="Of this tenant.")]
AfterOption = Annotated[str | None, typer.Option(help="Died then or later: 2026-01-31 or 2026-01-31T09:30+01:00.")]
BeforeOption = Annotated[str | None, typer.Option(help="Died before; without a zone it is your local time.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every dead letter.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show which ones are meant, and leave them alone.")]


def group() -> typer.Typer:
    """Make the commands."""
    made = typer.Typer(
        help="The dead letters: messages that could not be stored. Needs a key for operators, from the stack's folder "
        "or MEMSTREAM_ADMIN_KEY.",
        rich_markup_mode=None,
    )

    @made.callback(invoke_without_command=True)
    def dlq(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    for name, function in (("list", list_letters), ("show", show), ("replay", replay), ("drop", drop)):
        made.command(name)(function)
    return made


def list_letters(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    *,
    dead_class: ClassOption = None,
    reason: ReasonOption = None,
    tenant: TenantOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at the most, the oldest first.")] = 100,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List them, the newest last."""
    filters = _filters(dead_class, reason, tenant, after, before)
    operations = operations_for(context, home)
    # One more than is shown tells whether there are more.
    found = asyncio.run(_found(operations, filters, limit + 1))
    letters, more = found[:limit], len(found) > limit
    if as_json:
        listed = [letter.model_dump(mode="json") for letter in letters]
        typer.echo(json.dumps({"letters": listed, "more": more}, indent=2, ensure_ascii=False))
        return
    _print(letters)
    if more:
        typer.echo(f"There are more: --limit shows more than {limit}.", err=True)


def show(
    context: typer.Context,
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `memstream dlq list` shows it.")],
    *,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is in one."""
    letter = asyncio.run(_shown(operations_for(context, home), letter_id))
    if as_json:
        typer.echo(letter.model_dump_json(indent=2))
        return
    for name, value in letter.model_dump(mode="json").items():
        if value is not None:
            told = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
            typer.echo(f"{name:<12} {printable(told)}")


def replay(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    ids: IdsArgument = None,
    *,
    dead_class: ClassOption = None,
    reason: ReasonOption = None,
    tenant: TenantOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    all_letters: AllOption = False,
    dry_run: DryRunOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try them again, once their cause is mended. Each is replayed once, however often this is run."""
    filters = _filters(dead_class, reason, tenant, after, before)
    work = _Work(operations_for(context, home), "replay", dry_run=dry_run, as_json=as_json)
    work.do(ids or [], filters, all_letters=all_letters, ask=False)


def drop(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    ids: IdsArgument = None,
    *,
    dead_class: ClassOption = None,
    reason: ReasonOption = None,
    tenant: TenantOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    all_letters: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give them up for good."""
    filters = _filters(dead_class, reason, tenant, after, before)
    work = _Work(operations_for(context, home), "drop", dry_run=dry_run, as_json=as_json)
    work.do(ids or [], filters, all_letters=all_letters, ask=not yes)


@dataclass(frozen=True, slots=True)
class _Work:
    """Replaying or dropping many."""

    operations: Operations
    action: Action
    dry_run: bool
    as_json: bool

    def do(self, letter_ids: list[str], filters: dict[str, str], *, all_letters: bool, ask: bool) -> None:
        """Find out which are meant, ask if that is wanted, deal with them, and say what became of them."""
        if sum((bool(letter_ids), bool(filters), all_letters)) != 1:
            raise Failure("say which: ids, or filters such as --class and --reason, or --all", exit_code=2)
        if not letter_ids:
            # All are named before the first is touched: one that dies again is a new letter, and not meant.
            letters = asyncio.run(_found(self.operations, filters, None))
            letter_ids = [letter.id for letter in letters]
            if self.dry_run and not self.as_json:
                _print(letters)
        if self.dry_run:
            self._say_only(letter_ids)
            return
        if ask and letter_ids:
            confirm(f"Drop {_counted(len(letter_ids))} for good?")
        self._report(asyncio.run(self._deal_with(letter_ids)))

    def _say_only(self, letter_ids: list[str]) -> None:
        if self.as_json:
            typer.echo(json.dumps({"dry_run": True, "ids": letter_ids}, indent=2))
        else:
            typer.echo(f"would {self.action} {_counted(len(letter_ids))}")

    async def _deal_with(self, letter_ids: list[str]) -> list[LetterResult]:
        results: list[LetterResult] = []
        with view_for(Console(stderr=True), len(letter_ids), asyncio.get_running_loop().time) as view:
            async with self.operations.operator(_PATIENT, on_wait=_waits(view)) as operator:
                call = operator.replay if self.action == "replay" else operator.drop
                for start in range(0, len(letter_ids), _AT_ONCE):
                    part = letter_ids[start : start + _AT_ONCE]
                    results += await call(part)
                    view.advance(len(part), _counts(results))
        return results

    def _report(self, results: list[LetterResult]) -> None:
        if self.as_json:
            listed = [result.model_dump(mode="json") for result in results]
            typer.echo(json.dumps({"results": listed}, indent=2, ensure_ascii=False))
        else:
            for result in results:
                if result.outcome not in _GONE:
                    typer.echo(f"{printable(result.id)}: {result.outcome}", err=True)
            typer.echo(_counts(results))
        if any(result.outcome not in _GONE for result in results):
            raise typer.Exit(1)


async def _found(operations: Operations, filters: dict[str, str], limit: int | None) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    size = _PAGE if limit is None else min(_PAGE, limit)
    async with (
        operations.operator(_RETRIES) as operator,
        aclosing(operator.dead_letters(limit=size, **filters)) as all_,
    ):
        async for letter in all_:
            found.append(letter)
            if len(found) == limit:
                break
    return found


async def _shown(operations: Operations, letter_id: str) -> DeadLetterContent:
    async with operations.operator(_RETRIES) as operator:
        return await operator.dead_letter(letter_id)


def _filters(
    dead_class: str | None, reason: str | None, tenant: str | None, after: str | None, before: str | None
) -> dict[str, str]:
    since, until = moment("--after", after), moment("--before", before)
    given = {
        "class": dead_class,
        "reason": reason,
        "tenant": tenant,
        "after": since.isoformat() if since else None,
        "before": until.isoformat() if until else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _waits(view: View) -> Callable[[MemstreamClientError, float], None]:
    return lambda error, seconds: view.note(f"{error}; next try in {seconds:.1f} s")


def _counted(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"


def _counts(results: list[LetterResult]) -> str:
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
        names = [part for part in (letter.tenant, letter.user_id, letter.message_id) if part]
        table.add_row(
            letter.id,
            f"{letter.died_at.astimezone():%Y-%m-%d %H:%M}",
            Text(printable(letter.dead_class or "")),
            str(letter.size),
            Text(printable(" ".join(names))),
            Text(printable(letter.reason or "")),
        )
    Console().print(table)
