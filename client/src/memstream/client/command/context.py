"""`memstream context`."""

import asyncio
from typing import Annotated

import typer

from memstream.client._options import ContextOptions
from memstream.client.command.invocation import HomeOption, JsonOption, MinRelevanceOption, SharedOption
from memstream.client.command.services import INTERACTIVE_RETRIES, Services, services_for
from memstream.client.command.terminal import printable
from memstream.contracts.searches import ContextOut


def context(  # noqa: PLR0913 - one argument per option
    invocation: typer.Context,
    user: Annotated[str, typer.Argument(help="The user whose messages to search.")],
    question: Annotated[str, typer.Argument(help="What the prompt is about.")],
    *,
    budget: Annotated[int, typer.Option(help="Tokens of the whole context at most.")] = 1000,
    min_relevance: MinRelevanceOption = None,
    shared: SharedOption = False,
    neighbours: Annotated[
        int, typer.Option(help="How many turns to quote before and after each message, 0 to 10.")
    ] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the context for a prompt: what a user said about a question, quoted and numbered."""
    options: ContextOptions = {
        "token_budget": budget,
        "min_relevance": min_relevance,
        "neighbours": neighbours,
        "shared": shared,
    }
    answer = asyncio.run(_context(services_for(invocation, home), user, question, options))
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    elif answer.abstained:
        typer.echo(f"Nothing that {printable(user)} said is relevant to the question.")
    elif not answer.context:
        typer.echo(f"Nothing fits into {budget} tokens.")
    else:
        typer.echo(printable(answer.context))


async def _context(services: Services, user: str, question: str, options: ContextOptions) -> ContextOut:
    async with services.memory(INTERACTIVE_RETRIES) as memory:
        return await memory.context(user, question, **options)
