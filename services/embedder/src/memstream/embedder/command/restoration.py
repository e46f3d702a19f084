"""`memstream restore`: restores the collection from a snapshot and the streams."""

import asyncio
from typing import Annotated

import typer
from pydantic import HttpUrl, RedisDsn, SecretStr

from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption
from memstream.client.command.services import stack_of
from memstream.embedder.restoring import RestoreRequest
from memstream.embedder.restoring import restore as restore_collection
from memstream.embedder.settings import EmbedderSettings
from memstream.runtime.clock import SystemClock
from memstream.runtime.configuration import load_settings
from memstream.runtime.errors import MemstreamError

_PREFIX = "MEMSTREAM_EMBEDDER_"


def restore(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    location: Annotated[
        str, typer.Argument(metavar="LOCATION", help="A URL of the snapshot that Qdrant can read: https:// or file://.")
    ],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Delete the collection that is there.")] = False,
    since: Annotated[
        int | None, typer.Option(help="Read again from this time on, in milliseconds, not as the snapshot says.")
    ] = None,
    partially: Annotated[bool, typer.Option("--partially", help="Though the streams may lack messages.")] = False,
    home: HomeOption = None,
) -> None:
    """Restore the collection in Qdrant: recover a snapshot, and read again what came later.

    Uses the local stack in --home, or else the settings of an embedder: MEMSTREAM_EMBEDDER_REDIS_URL and so on.
    """
    request = RestoreRequest(location, replace=replace, since=since, partially=partially)
    try:
        asyncio.run(restore_collection(_settings(context, home), request, SystemClock(), typer.echo))
    except MemstreamError as error:
        raise Failure(str(error)) from error


def _settings(context: typer.Context, home: HomeOption) -> EmbedderSettings:
    stack = stack_of(context, home, _PREFIX)
    if stack is None:
        return load_settings(EmbedderSettings)
    return EmbedderSettings(
        redis_url=RedisDsn(stack.redis_url),
        qdrant_url=HttpUrl(stack.qdrant_url),
        qdrant_api_key=None if stack.qdrant_api_key is None else SecretStr(stack.qdrant_api_key),
        collection=stack.collection,
        embeddings_api_key=SecretStr(stack.embeddings_api_key or "none"),
    )
