"""`memstream search`."""

import asyncio
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memstream.client._retries import Retries
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption, JsonOption
from memstream.client.command.services import Services, services_for
from memstream.contracts.searches import Hit, SearchOut, Turn

_DAY = 86_400.0
"""Seconds."""

_RETRIES = Retries(deadline=20.0, unreachable=2.0)


class SearchMode(StrEnum):
    """How to search."""

    HYBRID = "hybrid"
    DENSE = "dense"
    KEYWORD = "keyword"


def search(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="Whose memory to ask.")],
    question: Annotated[str, typer.Argument(help="What to ask.")],
    *,
    limit: Annotated[int, typer.Option(help="How many messages at the most, 1 to 100.")] = 10,
    mode: Annotated[
        SearchMode, typer.Option(help="By meaning and words, by meaning, or by words.")
    ] = SearchMode.HYBRID,
    min_relevance: Annotated[float | None, typer.Option(help="Leave out what is less relevant, 0 to 1.")] = None,
    after: Annotated[str | None, typer.Option(help="Said then or later: 2026-01-31 or 2026-01-31T09:30+01:00.")] = None,
    before: Annotated[str | None, typer.Option(help="Said before; without a zone it is your local time.")] = None,
    speaker: Annotated[list[str] | None, typer.Option(help="Said by; may be given several times.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Said as this role; may be given several times.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Of this kind; may be given several times.")] = None,
    conversation: Annotated[list[str] | None, typer.Option(help="In this conversation, by its id.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Ask the documents of all users too.")] = False,
    half_life: Annotated[
        float | None, typer.Option(help="Prefer what was said lately: so many days halve what is preferred.")
    ] = None,
    diversity: Annotated[float, typer.Option(help="Set back what repeats better messages, 0 to 1.")] = 0.0,
    neighbours: Annotated[int, typer.Option(help="Show so many turns before and after each message, 0 to 10.")] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask what a user's past says about a question."""
    conditions = {
        "after": moment("--after", after),
        "before": moment("--before", before),
        "speaker": speaker or None,
        "role": role or None,
        "kind": kind or None,
        "conversation_id": conversation or None,
    }
    given = {name: value for name, value in conditions.items() if value is not None}
    fields: dict[str, Any] = {
        "limit": limit,
        "mode": mode.value,
        "neighbours": neighbours,
        "shared": shared,
        "diversity": diversity,
    }
    if half_life is not None:
        fields["recency"] = {"half_life": half_life * _DAY, "weight": 1.0}
    if given:
        fields["filter"] = given
    if min_relevance is not None:
        fields["min_relevance"] = min_relevance
    answer = asyncio.run(_ask(services_for(context, home), user, question, fields))
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        show(answer, user, Console(), filtered=bool(given) or min_relevance is not None)


async def _ask(services: Services, user: str, question: str, fields: dict[str, Any]) -> SearchOut:
    async with services.memory(_RETRIES) as memory:
        return await memory.search(user, question, **fields)


def show(answer: SearchOut, user: str, console: Console, *, filtered: bool) -> None:
    """Print hits as a table, or that there are none."""
    if answer.hits:
        console.print(hits_table(answer.hits))
    else:
        wish = " and the conditions" if filtered else ""
        console.print(Text(f"Nothing found: no message of {printable(user)} matches the question{wish}."))
    if answer.degraded:
        console.print(Text("Answered by words alone: the embeddings server is out of reach.", style="yellow"))
    if console.is_terminal:
        console.print(Text(f"{len(answer.hits)} hits in {answer.took_ms:.0f} ms, {answer.model}", style="dim"))


def hits_table(hits: list[Hit]) -> Table:
    """Lay hits out: relevance, when in local time, who, what."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("relevance", justify="right", no_wrap=True)
    table.add_column("when", no_wrap=True)
    table.add_column("who", max_width=24)
    table.add_column("text", overflow="fold", ratio=1)
    for hit in hits:
        table.add_row(
            f"{hit.relevance:.2f}",
            f"{hit.occurred_at.astimezone():%Y-%m-%d %H:%M}",
            Text(printable(hit.speaker or hit.role)),
            _with_turns(hit),
        )
    return table


def _with_turns(hit: Hit) -> Text:
    if not hit.before and not hit.after:
        return Text(printable(hit.text))
    before, after = ([Text(printable(_said(turn)), style="dim") for turn in turns] for turns in (hit.before, hit.after))
    return Text("\n").join([*before, Text(printable(hit.text)), *after])


def _said(turn: Turn) -> str:
    return f"{turn.speaker or turn.role}: {turn.text}"


def printable(text: str) -> str:
    """Give a text without the control characters by which it could steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else " " if c.isspace() else "\ufffd" for c in text)


def moment(option: str, value: str | None) -> datetime | None:
    """Read a time that an option was given; without a zone it is one of the user's own clock.

    Raises:
        Failure: it is none.

    """
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError) as error:
        raise Failure(
            f"{option}: {value!r} is not a time such as 2026-01-31 or 2026-01-31T09:30:00+01:00", exit_code=2
        ) from error
