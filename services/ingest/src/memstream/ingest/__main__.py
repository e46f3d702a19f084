"""Run ingest: `python -m memstream.ingest`; or create a key: `python -m memstream.ingest issue-key TENANT`."""

import argparse
import asyncio
import sys
from random import SystemRandom

from pydantic import ValidationError

from memstream.contracts import ids
from memstream.contracts.api_keys import ADMIN_SCOPES, TENANT_SCOPES, ApiKeyIn
from memstream.ingest.app import build
from memstream.ingest.key_registry import KeyRegistry
from memstream.ingest.settings import IngestSettings
from memstream.runtime.clock import SystemClock
from memstream.runtime.configuration import load_settings, stop_with
from memstream.runtime.errors import ConfigurationError, Unavailable
from memstream.runtime.sockets import listen
from memstream.runtime.telemetry import configure_logging
from memstream.streams.connections import connect
from memstream.web.server import serve

_ACTOR = "issue-key"
"""Who made a key that this command made, in the audit record."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m memstream.ingest",
        description="Accepts messages over HTTP and appends them to Redis streams. "
        "Settings come from the environment: MEMSTREAM_INGEST_REDIS_URL, …_PORT, …_PARTITIONS and so on.",
    )
    commands = parser.add_subparsers(dest="command")
    issue = commands.add_parser("issue-key", help="create and print a key for a tenant; Redis stores its digest")
    issue.add_argument("tenant")
    issue.add_argument("--admin", action="store_true", help="a key for operators")
    arguments = parser.parse_args()
    try:
        settings = load_settings(IngestSettings)
        if arguments.command == "issue-key":
            asyncio.run(_issue_key(settings, arguments.tenant, admin=arguments.admin))
            return
        configure_logging("ingest", settings.log_level)
        app = build(settings, SystemClock(), SystemRandom())
        listener = listen(settings.host, settings.port, reuse_port=settings.reuse_port)
    except ConfigurationError as error:
        stop_with(error)
    serve(app, listener, settings.http_limits())


async def _issue_key(settings: IngestSettings, tenant: str, *, admin: bool) -> None:
    try:
        wanted = ApiKeyIn(tenant=tenant, scopes=sorted(ADMIN_SCOPES if admin else TENANT_SCOPES))
    except ValidationError:
        raise ConfigurationError(
            f"{tenant!r} is not a tenant name: use up to 63 of a-z, 0-9, _, . and -, and begin with a letter or digit"
        ) from None
    client = connect(str(settings.redis_url), ca_file=settings.redis_ca_file)
    clock, rng = SystemClock(), SystemRandom()
    registry = KeyRegistry(client, clock.now, lambda: ids.new_message_id(clock.now(), rng))
    try:
        created = await registry.create(wanted, _ACTOR)
    except Unavailable as error:
        stop_with(error, 1)
    finally:
        await client.aclose()
    sys.stdout.write(f"{created.key}\n")


if __name__ == "__main__":
    main()
