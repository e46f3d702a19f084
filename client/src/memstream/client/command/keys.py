"""`memstream keys`: the API keys of tenants and operators."""

import asyncio
from contextlib import aclosing
from typing import Annotated

import typer
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from rich.text import Text

from memstream.client._errors import validated
from memstream.client.command.invocation import HomeOption, JsonOption, YesOption, confirm, parse_time
from memstream.client.command.services import INTERACTIVE_RETRIES, AdminService, admin_service_for
from memstream.client.command.terminal import local_minute, printable
from memstream.contracts.api_keys import ApiKey, ApiKeyCreated, ApiKeyIn, AuditEntry, RotationIn

_PAGE_SIZE = 500

KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="The id of a key, as `memstream keys list` shows it.")]
ExpiresOption = Annotated[
    str | None,
    typer.Option("--expires", help="When it stops working: 2026-12-31 or 2026-12-31T18:00+01:00. [default: never]"),
]


def group() -> typer.Typer:
    """Return the group of commands."""
    commands = typer.Typer(
        help="Manage API keys. This needs an admin key, from the data directory of the stack or from "
        "MEMSTREAM_ADMIN_KEY.",
        rich_markup_mode=None,
    )

    @commands.callback(invoke_without_command=True)
    def keys(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    commands.command("create")(create)
    commands.command("list")(list_keys)
    commands.command("rotate")(rotate)
    commands.command("revoke")(revoke)
    commands.command("audit")(audit)
    return commands


def create(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(help="The tenant whose key it is.")],
    *,
    user: Annotated[str | None, typer.Option(help="The only user that it can read and write as.")] = None,
    device: Annotated[str | None, typer.Option(help="A name for what holds the key.")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may be used for: ingest, search or delete, given several times for several; or admin. "
            "[default: all but admin]"
        ),
    ] = None,
    expires: ExpiresOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a key, and print it. It is not kept anywhere, so it can't be shown again."""
    fields = {"tenant": tenant, "user_id": user, "device": device, "expires_at": parse_time("--expires", expires)}
    wanted = validated(ApiKeyIn, {**fields, **({"scopes": scope} if scope else {})}, "key")
    _print_once(asyncio.run(_create(admin_service_for(context, home), wanted)), as_json=as_json)


def list_keys(
    context: typer.Context,
    *,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the keys that work, the newest last. Keys that were made before keys had ids are not listed."""
    found = asyncio.run(_list(admin_service_for(context, home), tenant))
    if as_json:
        typer.echo(to_json({"keys": found}, indent=2).decode())
        return
    if not found:
        typer.echo("No keys.")
        return
    table = _table("id", "tenant", "user", "device", "scopes", "created", "expires")
    for key in found:
        expires = local_minute(key.expires_at) if key.expires_at else "never"
        cells = (key.key_id, key.tenant, key.user_id, key.device, " ".join(key.scopes), local_minute(key.created_at))
        table.add_row(*(Text(printable(cell or "")) for cell in (*cells, expires)))
    Console().print(table)


def rotate(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    key_id: KeyArgument,
    *,
    overlap: Annotated[int, typer.Option(min=0, help="How long the old key goes on working, in seconds.")] = 3600,
    expires: ExpiresOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a key that can do the same, and let the old one expire after a while. Prints the new key, this once."""
    wanted = validated(RotationIn, {"overlap": overlap, "expires_at": parse_time("--expires", expires)}, "rotation")
    _print_once(asyncio.run(_rotate(admin_service_for(context, home), key_id, wanted)), as_json=as_json)


def revoke(context: typer.Context, key_id: KeyArgument, *, yes: YesOption = False, home: HomeOption = None) -> None:
    """Revoke a key. Within 2 seconds no service accepts it."""
    service = admin_service_for(context, home)
    if not yes:
        confirm(f"Revoke key {printable(key_id)}?")
    asyncio.run(_revoke(service, key_id))
    typer.echo(f"revoked: {printable(key_id)}")


def audit(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many entries at most, the newest first.")] = 100,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who created, rotated and revoked which keys, the newest first."""
    entries = asyncio.run(_audit(admin_service_for(context, home), limit))
    if as_json:
        typer.echo(to_json({"entries": entries}, indent=2).decode())
        return
    table = _table("at", "actor", "action", "key", "tenant", "user", "device", "scopes")
    for one in entries:
        cells = (one.actor, one.action, one.key_id, one.tenant, one.user_id, one.device, " ".join(one.scopes))
        table.add_row(local_minute(one.at), *(Text(printable(cell or "")) for cell in cells))
    Console().print(table)


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        # An id that is cut off can't be copied.
        table.add_column(name, overflow="fold", no_wrap=name in {"id", "key"})
    return table


def _print_once(created: ApiKeyCreated, *, as_json: bool) -> None:
    typer.echo(created.model_dump_json(indent=2) if as_json else created.key)
    typer.echo(f"Keep this key now: it can't be shown again. Its id is {created.key_id}.", err=True)


async def _create(service: AdminService, wanted: ApiKeyIn) -> ApiKeyCreated:
    async with service.operator(INTERACTIVE_RETRIES) as operator:
        return await operator.create_key(
            wanted.tenant,
            user_id=wanted.user_id,
            device=wanted.device,
            scopes=wanted.scopes,
            expires_at=wanted.expires_at,
        )


async def _rotate(service: AdminService, key_id: str, wanted: RotationIn) -> ApiKeyCreated:
    async with service.operator(INTERACTIVE_RETRIES) as operator:
        return await operator.rotate_key(key_id, overlap=wanted.overlap, expires_at=wanted.expires_at)


async def _revoke(service: AdminService, key_id: str) -> None:
    async with service.operator(INTERACTIVE_RETRIES) as operator:
        await operator.revoke_key(key_id)


async def _list(service: AdminService, tenant: str | None) -> list[ApiKey]:
    async with service.operator(INTERACTIVE_RETRIES) as operator:
        return [key async for key in operator.keys(tenant=tenant, limit=_PAGE_SIZE)]


async def _audit(service: AdminService, limit: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    async with (
        service.operator(INTERACTIVE_RETRIES) as operator,
        aclosing(operator.key_audit(limit=min(limit, _PAGE_SIZE))) as found,
    ):
        async for entry in found:
            entries.append(entry)
            if len(entries) == limit:
                break
    return entries
