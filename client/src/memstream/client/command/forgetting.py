"""`memstream forget`."""

import asyncio
from typing import Annotated

import typer

from memstream.client._memory import Memstream
from memstream.client._retries import Retries
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption, JsonOption, YesOption, confirm
from memstream.client.command.searching import printable
from memstream.client.command.services import Services, services_for
from memstream.contracts.messages import Erasure

_RETRIES = Retries(deadline=20.0, unreachable=2.0)

_POLL = 0.2
"""Seconds between two questions what became of the request."""


def forget(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="Whose memory.")],
    message: Annotated[str | None, typer.Argument(help="The id of a message. [default: all of them]")] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Come back when no search finds it any more.")] = False,
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget a message, or all that a user said until now. Nothing brings it back."""
    services = services_for(context, home)
    what = f"all that {user} said until now" if message is None else f"message {message} of {user}"
    if not yes:
        confirm(f"Forget {printable(what)} for good?")
    erasure = asyncio.run(_forget(services, user, message, wait=wait))
    if as_json:
        typer.echo(erasure.model_dump_json(indent=2))
    elif erasure.state != "failed":
        typer.echo(f"{'forgotten' if erasure.state == 'done' else 'requested'}: {printable(what)}")
    if erasure.state == "failed":
        raise Failure(f"erasure {erasure.erasure_id} failed; `memstream dlq list` says why")


async def _forget(services: Services, user: str, message: str | None, *, wait: bool) -> Erasure:
    async with services.memory(_RETRIES) as memory:
        asked = await (memory.erase_user(user) if message is None else memory.delete_message(user, message))
        return await _settled(memory, asked.erasure_id, wait=wait)


async def _settled(memory: Memstream, erasure_id: str, *, wait: bool) -> Erasure:
    while True:
        erasure = await memory.erasure(erasure_id)
        if erasure.state != "pending" or not wait:
            return erasure
        await asyncio.sleep(_POLL)
