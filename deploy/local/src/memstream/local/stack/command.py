"""`memstream up` and `memstream demo`."""

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from memstream.client.command.failure import Failure
from memstream.client.command.invocation import invocation_of
from memstream.contracts.stack import Stack
from memstream.local.stack import foreground
from memstream.local.stack.data_directory import DataDirectory
from memstream.local.stack.elsewhere import Elsewhere, read_secret, require_url, with_password
from memstream.local.stack.failure import CannotStart
from memstream.local.stack.local_stack import LocalStack
from memstream.local.stack.plan import FIXED_PORTS, Plan
from memstream.local.stack.ports import free_base
from memstream.runtime.clock import SystemClock

_DEFAULT_HOME = Path(".memstream")
_INTERRUPTED = 130
_SERVERS = "Servers of your own"


class ModelName(StrEnum):
    """The models that run on this machine."""

    MINILM = "minilm"
    WORDLLAMA = "wordllama"


ModelOption = Annotated[ModelName, typer.Option(help="minilm finds more; wordllama is far faster, for load tests.")]


def up(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    *,
    home: Annotated[Path | None, typer.Option(help="Data directory. [default: .memstream]")] = None,
    port_base: Annotated[int, typer.Option(min=1024, max=65_000, help="The first of the consecutive ports.")] = 8100,
    model: ModelOption = ModelName.MINILM,
    embedders: Annotated[int, typer.Option(min=1, max=32, help="How many embedders.")] = 1,
    retrievers: Annotated[int, typer.Option(min=1, max=32, help="How many retrievers, sharing a port.")] = 1,
    ingests: Annotated[int, typer.Option(min=1, max=32, help="How many ingests, sharing a port.")] = 1,
    calibrations: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="A file written by `memstream calibrate`."),
    ] = None,
    rerank_url: Annotated[
        str | None, typer.Option(help="Base URL of a server with the rerank API, such as http://127.0.0.1:8000/v1.")
    ] = None,
    rerank_model: Annotated[str | None, typer.Option(help="The model of the rerank server.")] = None,
    redis_url: Annotated[
        str | None, typer.Option(help="A Redis to use; none is started.", rich_help_panel=_SERVERS)
    ] = None,
    redis_password_file: Annotated[
        Path | None, typer.Option(help="A file with its password.", rich_help_panel=_SERVERS)
    ] = None,
    qdrant_url: Annotated[
        str | None, typer.Option(help="A Qdrant to use; none is started.", rich_help_panel=_SERVERS)
    ] = None,
    qdrant_api_key_file: Annotated[
        Path | None, typer.Option(help="A file with its API key.", rich_help_panel=_SERVERS)
    ] = None,
    collection: Annotated[
        str, typer.Option(help="The collection in it, one for each stack.", rich_help_panel=_SERVERS)
    ] = "memstream",
    embeddings_url: Annotated[
        str | None,
        typer.Option(
            help="An embeddings server to use, with the model named by --model; none is started.",
            rich_help_panel=_SERVERS,
        ),
    ] = None,
    embeddings_api_key_file: Annotated[
        Path | None, typer.Option(help="A file with its API key.", rich_help_panel=_SERVERS)
    ] = None,
) -> None:
    """Run all of Memstream on this machine until Ctrl-C. Stored messages are kept for the next start."""
    try:
        elsewhere = Elsewhere(
            redis_url=with_password(
                require_url("--redis-url", redis_url), read_secret("--redis-password-file", redis_password_file)
            ),
            qdrant_url=require_url("--qdrant-url", qdrant_url),
            qdrant_api_key=read_secret("--qdrant-api-key-file", qdrant_api_key_file),
            embeddings_url=require_url("--embeddings-url", embeddings_url),
            embeddings_api_key=read_secret("--embeddings-api-key-file", embeddings_api_key_file),
        )
    except CannotStart as error:
        raise Failure(str(error)) from error
    plan = Plan(
        directory=DataDirectory(home or invocation_of(context).home or _DEFAULT_HOME),
        model=model.value,
        port_base=port_base,
        ingests=ingests,
        embedders=embedders,
        retrievers=retrievers,
        calibrations=calibrations,
        rerank_url=rerank_url,
        rerank_model=rerank_model,
        elsewhere=elsewhere,
        collection=collection,
    )
    foreground.say(f"starting a stack in {plan.directory.path}")
    is_default = plan.directory.path == _DEFAULT_HOME.absolute()

    async def serve(stack: LocalStack, running: Stack) -> None:
        foreground.say(_welcome(running, plan.directory, is_default=is_default))
        await stack.watch()

    _run(context, plan, serve)
    foreground.say("stopped")


def demo(context: typer.Context, *, model: ModelOption = ModelName.MINILM) -> None:
    """Send a sample conversation to a temporary stack, ask some questions, and leave nothing behind."""
    # `up` does not need this module.
    from memstream.local.stack import demonstration  # noqa: PLC0415

    async def show(_stack: LocalStack, running: Stack) -> None:
        await demonstration.show(running, foreground.say)

    foreground.say("starting a temporary stack")
    with TemporaryDirectory(prefix="memstream-demo-") as folder:
        try:
            plan = Plan(directory=DataDirectory(Path(folder)), model=model.value, port_base=free_base(FIXED_PORTS + 1))
        except CannotStart as error:
            raise Failure(str(error)) from error
        if not _run(context, plan, show):
            raise typer.Exit(_INTERRUPTED)


def _run(context: typer.Context, plan: Plan, work: Callable[[LocalStack, Stack], Awaitable[None]]) -> bool:
    try:
        stack = LocalStack(
            plan,
            environment=invocation_of(context).environment,
            clock=SystemClock(),
            rng=SystemRandom(),
            say=foreground.say,
        )
        return asyncio.run(foreground.run(stack, work))
    except CannotStart as error:
        for line in error.log_tail:
            typer.echo(f"  | {line}", err=True)
        raise Failure(str(error)) from error


def _welcome(running: Stack, directory: DataDirectory, *, is_default: bool) -> str:
    option = "" if is_default else f" --home {shlex.quote(str(directory.path))}"
    stack_file = shlex.quote(str(directory.stack_file))
    return f"""
ready. In another terminal:

  KEY=$(sed -n 's/.*"api_key": "\\(.*\\)".*/\\1/p' {stack_file})
  curl {running.ingest_url}/v1/messages -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
    -d '{{"user_id": "ana", "text": "The spare key is under the third flower pot."}}'
  memstream search ana "Where is the spare key?"{option}

  memstream send FILE.jsonl{option}
  memstream status{option}

Logs are in {directory.logs}. Ctrl-C stops everything."""
