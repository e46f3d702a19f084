"""`memstream delete`: the deletion of a message, or the erasure of a user."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from memstream.client._memory import Memstream
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption, JsonOption, YesOption, confirm, invocation_of
from memstream.client.command.services import DEFAULT_HOME, INTERACTIVE_RETRIES, Services, services_for
from memstream.client.command.terminal import printable
from memstream.client.command.verification import (
    Search,
    StoreReport,
    fragments_of,
    is_clean,
    load_search,
    may_end,
    report_lines,
)
from memstream.contracts.messages import Erasure
from memstream.contracts.stack import Stack

_POLL_SECONDS = 0.2

_COMPACTION_SECONDS = 900
"""How long `--verify` waits for the stores. A local stack compacts its Qdrant within ten minutes."""


@dataclass(frozen=True, slots=True)
class _Verification:
    """How a deletion is verified: what searches, where, and for which words if not for the deleted texts."""

    search: Search
    home: Path
    stack: Stack
    contains: Sequence[str]


def delete(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="The user whose messages to delete.")],
    message: Annotated[str | None, typer.Argument(help="The id of one message. [default: all messages]")] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until no search finds it any more.")] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Wait until all stores are compacted, then search them and the logs of a local stack for the deleted "
            "texts. Exit code 1: something was found, or still waits.",
        ),
    ] = False,
    contains: Annotated[
        list[str] | None, typer.Option(help="With --verify: search for these words instead. Repeatable.")
    ] = None,
    yes: YesOption = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete one message, or everything that a user said until now. This can't be undone."""
    services = services_for(context, home)
    verification = _verification(context, services, home, contains or []) if verify else None
    subject = f"everything that {user} said until now" if message is None else f"message {message} of {user}"
    if not yes:
        confirm(f"Delete {printable(subject)} permanently?")
    receipt, reports = asyncio.run(_delete(services, user, message, verification, wait=wait))
    if as_json:
        typer.echo(receipt.model_dump_json(indent=2))
    elif receipt.state != "failed":
        typer.echo(f"{'deleted' if receipt.state == 'done' else 'deletion requested'}: {printable(subject)}")
    if receipt.state == "failed":
        raise Failure(f"deletion {receipt.erasure_id} failed; `memstream dlq list` says why")
    if verification is not None:
        for line in report_lines(reports, receipt):
            typer.echo(line, err=as_json)
        if not is_clean(reports, receipt):
            raise Failure(f"not everything is gone yet of {subject}")


def _verification(context: typer.Context, services: Services, home: Path | None, contains: list[str]) -> _Verification:
    if services.stack is None:
        raise Failure("--verify searches the files of a local stack: run it where the stack runs, with --home")
    path = home or invocation_of(context).home or DEFAULT_HOME
    return _Verification(load_search(), path, services.stack, contains)


async def _delete(
    services: Services, user: str, message: str | None, verification: _Verification | None, *, wait: bool
) -> tuple[Erasure, list[StoreReport]]:
    async with services.memory(INTERACTIVE_RETRIES) as memory:
        fragments = list(verification.contains) if verification is not None else []
        if verification is not None and not fragments:
            texts = [said.text async for said in memory.messages(user) if message in {None, said.message_id}]
            fragments = list(dict.fromkeys(fragments_of(texts)))
            if not fragments:
                raise Failure("no text is long enough to be searched for: use --contains, or leave out --verify")
        request = await (memory.erase_user(user) if message is None else memory.delete_message(user, message))
        receipt = await _receipt(memory, request.erasure_id, wait=wait or verification is not None)
        if verification is None or receipt.state == "failed":
            return receipt, []
        try:
            async with asyncio.timeout(_COMPACTION_SECONDS):
                while may_end(receipt, verification.stack):
                    await asyncio.sleep(_POLL_SECONDS)
                    receipt = await memory.erasure(request.erasure_id)
        except TimeoutError:
            pass  # What still waits is reported.
        return receipt, await verification.search(verification.home, verification.stack, fragments)


async def _receipt(memory: Memstream, erasure_id: str, *, wait: bool) -> Erasure:
    while True:
        receipt = await memory.erasure(erasure_id)
        if receipt.state != "pending" or not wait:
            return receipt
        await asyncio.sleep(_POLL_SECONDS)
