"""`memstream context`."""

import asyncio
from typing import Annotated, Any

import typer

from memstream.client._retries import Retries
from memstream.client.command.invocation import HomeOption, JsonOption
from memstream.client.command.searching import printable
from memstream.client.command.services import Services, services_for
from memstream.contracts.searches import ContextOut

_RETRIES = Retries(deadline=20.0, unreachable=2.0)


def context(  # noqa: PLR0913 - one argument per option
    invocation: typer.Context,
    user: Annotated[str, typer.Argument(help="Whose memory to ask.")],
    question: Annotated[str, typer.Argument(help="What the prompt is about.")],
    *,
    budget: Annotated[int, typer.Option(help="Tokens of the whole context, at the most.")] = 1000,
    min_relevance: Annotated[float | None, typer.Option(help="Leave out what is less relevant, 0 to 1.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Ask the documents of all users too.")] = False,
    neighbours: Annotated[int, typer.Option(help="Quote so many turns around each message too, 0 to 10.")] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Get what a prompt needs of a user's past, quoted and numbered, within a token budget."""
    fields: dict[str, Any] = {"token_budget": budget, "neighbours": neighbours, "shared": shared}
    if min_relevance is not None:
        fields["min_relevance"] = min_relevance
    answer = asyncio.run(_ask(services_for(invocation, home), user, question, fields))
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    elif answer.abstained:
        typer.echo(f"Nothing that {printable(user)} said bears on the question.")
    elif not answer.context:
        typer.echo(f"Nothing fits into {budget} tokens.")
    else:
        typer.echo(printable(answer.context))


async def _ask(services: Services, user: str, question: str, fields: dict[str, Any]) -> ContextOut:
    async with services.memory(_RETRIES) as memory:
        return await memory.context(user, question, **fields)
