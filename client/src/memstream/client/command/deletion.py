"""`memstream delete`: the deletion of a message, or the erasure of a user."""

import asyncio
from typing import Annotated

import typer

from memstream.client._memory import Memstream
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption, JsonOption, YesOption, confirm
from memstream.client.command.services import INTERACTIVE_RETRIES, Services, services_for
from memstream.client.command.terminal import printable
from memstream.contracts.messages import Erasure

_POLL_SECONDS = 0.2


def delete(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="The user whose messages to delete.")],
    message: Annotated[str | None, typer.Argument(help="The id of one message. [default: all messages]")] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until no search finds it any more.")] = False,
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete one message, or everything that a user said until now. This can't be undone."""
    services = services_for(context, home)
    subject = f"everything that {user} said until now" if message is None else f"message {message} of {user}"
    if not yes:
        confirm(f"Delete {printable(subject)} permanently?")
    receipt = asyncio.run(_delete(services, user, message, wait=wait))
    if as_json:
        typer.echo(receipt.model_dump_json(indent=2))
    elif receipt.state != "failed":
        typer.echo(f"{'deleted' if receipt.state == 'done' else 'deletion requested'}: {printable(subject)}")
    if receipt.state == "failed":
        raise Failure(f"deletion {receipt.erasure_id} failed; `memstream dlq list` says why")


async def _delete(services: Services, user: str, message: str | None, *, wait: bool) -> Erasure:
    async with services.memory(INTERACTIVE_RETRIES) as memory:
        request = await (memory.erase_user(user) if message is None else memory.delete_message(user, message))
        return await _receipt(memory, request.erasure_id, wait=wait)


async def _receipt(memory: Memstream, erasure_id: str, *, wait: bool) -> Erasure:
    while True:
        receipt = await memory.erasure(erasure_id)
        if receipt.state != "pending" or not wait:
            return receipt
        await asyncio.sleep(_POLL_SECONDS)
