"""`memstream search`."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memstream.client._options import SearchOptions, given
from memstream.client.command.invocation import (
    AfterOption,
    BeforeOption,
    HomeOption,
    JsonOption,
    MinRelevanceOption,
    SharedOption,
    parse_time,
)
from memstream.client.command.services import INTERACTIVE_RETRIES, Services, services_for
from memstream.client.command.terminal import local_minute, printable
from memstream.contracts.searches import Hit, Mode, SearchOut, Turn

_SECONDS_PER_DAY = 86_400.0


def search(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="The user whose messages to search.")],
    question: Annotated[str, typer.Argument(help="The question.")],
    *,
    limit: Annotated[int, typer.Option(help="How many messages at most, 1 to 100.")] = 10,
    mode: Annotated[
        Mode, typer.Option(help="By meaning and words (hybrid), by meaning only (dense), or by words only (keyword).")
    ] = "hybrid",
    min_relevance: MinRelevanceOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    speaker: Annotated[list[str] | None, typer.Option(help="Only by this speaker; repeat for several.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Only in this role; repeat for several.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only of this kind; repeat for several.")] = None,
    conversation: Annotated[
        list[str] | None, typer.Option(help="Only in the conversation with this id; repeat for several.")
    ] = None,
    shared: SharedOption = False,
    half_life: Annotated[
        float | None, typer.Option(help="Prefer recent messages; the preference halves after this many days.")
    ] = None,
    diversity: Annotated[
        float, typer.Option(help="How far to move down messages that repeat better ones, 0 to 1.")
    ] = 0.0,
    neighbours: Annotated[int, typer.Option(help="How many turns to show before and after each message, 0 to 10.")] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search a user's messages."""
    conditions = given(
        {
            "after": parse_time("--after", after),
            "before": parse_time("--before", before),
            "speaker": speaker or None,
            "role": role or None,
            "kind": kind or None,
            "conversation_id": conversation or None,
        }
    )
    options: SearchOptions = {
        "limit": limit,
        "mode": mode,
        "min_relevance": min_relevance,
        "filter": conditions or None,
        "shared": shared,
        "recency": {"half_life": half_life * _SECONDS_PER_DAY, "weight": 1.0} if half_life is not None else None,
        "diversity": diversity,
        "neighbours": neighbours,
    }
    answer = asyncio.run(_search(services_for(context, home), user, question, options))
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        _print(answer, user, Console(), has_conditions=bool(conditions) or min_relevance is not None)


async def _search(services: Services, user: str, question: str, options: SearchOptions) -> SearchOut:
    async with services.memory(INTERACTIVE_RETRIES) as memory:
        return await memory.search(user, question, **options)


def _print(answer: SearchOut, user: str, console: Console, *, has_conditions: bool) -> None:
    if answer.hits:
        console.print(_hits_table(answer.hits))
    else:
        conditions = " and the conditions" if has_conditions else ""
        console.print(Text(f"Nothing found: no message of {printable(user)} matches the question{conditions}."))
    if answer.degraded:
        console.print(Text("Searched by words only: the embeddings server can't be reached.", style="yellow"))
    if answer.hits and not answer.calibrated:
        console.print(
            Text(
                f"Relevance is not calibrated for {answer.model}: use it to compare hits, not as a probability.",
                style="yellow",
            )
        )
    if console.is_terminal:
        count = f"{len(answer.hits)} hit{'' if len(answer.hits) == 1 else 's'}"
        console.print(Text(f"{count} in {answer.took_ms:.0f} ms, {answer.model}", style="dim"))


def _hits_table(hits: list[Hit]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("relevance", justify="right", no_wrap=True)
    table.add_column("when", no_wrap=True)
    table.add_column("who", max_width=24)
    table.add_column("text", overflow="fold", ratio=1)
    for hit in hits:
        table.add_row(
            f"{hit.relevance:.2f}",
            local_minute(hit.occurred_at),
            Text(printable(hit.speaker or hit.role)),
            _text_with_turns(hit),
        )
    return table


def _text_with_turns(hit: Hit) -> Text:
    before, after = ([_turn(turn) for turn in turns] for turns in (hit.before, hit.after))
    return Text("\n").join([*before, Text(printable(hit.text)), *after])


def _turn(turn: Turn) -> Text:
    return Text(printable(f"{turn.speaker or turn.role}: {turn.text}"), style="dim")
