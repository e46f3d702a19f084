"""`memstream tenants`: the limits of tenants, and how long their messages are kept."""

import asyncio
from typing import Annotated

import typer

from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption, JsonOption
from memstream.client.command.services import INTERACTIVE_RETRIES, AdminService, admin_service_for
from memstream.contracts.tenants import TenantPolicy, TenantPolicyOut

_NAMES = tuple(TenantPolicy.model_fields)

TenantArgument = Annotated[
    str | None, typer.Argument(metavar="TENANT", help="Default: the defaults of the installation.", show_default=False)
]


def group() -> typer.Typer:
    """Return the group of commands."""
    commands = typer.Typer(
        help="Show and set the limits of tenants, and how long their messages are kept. This needs an admin key, from "
        "the data directory of the stack or from MEMSTREAM_ADMIN_KEY.",
        rich_markup_mode=None,
    )

    @commands.callback(invoke_without_command=True)
    def tenants(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    commands.command("show")(show)
    commands.command("set")(set_policy)
    return commands


def show(
    context: typer.Context, tenant: TenantArgument = None, *, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Show a tenant's limits, and which of them are the defaults."""
    _print(asyncio.run(_get(admin_service_for(context, home), tenant)), as_json=as_json)


def set_policy(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    tenant: TenantArgument = None,
    *,
    messages_per_second: Annotated[float | None, typer.Option(help="Messages accepted per second.")] = None,
    deletions_per_second: Annotated[float | None, typer.Option(help="Deletions accepted per second.")] = None,
    searches_per_second: Annotated[float | None, typer.Option(help="Searches answered per second.")] = None,
    stored_messages: Annotated[int | None, typer.Option(help="Messages stored at a time.")] = None,
    backlog_share: Annotated[float | None, typer.Option(help="Share of the backlog limit, up to 1.")] = None,
    retention_days: Annotated[
        float | None, typer.Option(help="Days after which messages are removed, also those stored already.")
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="LIMIT", help="A limit that is to be the default again.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change limits of a tenant; those that are not named stay as they are."""
    given: dict[str, float | int | None] = {
        "messages_per_second": messages_per_second,
        "deletions_per_second": deletions_per_second,
        "searches_per_second": searches_per_second,
        "stored_messages": stored_messages,
        "backlog_share": backlog_share,
        "retention_days": retention_days,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    removed = [name.replace("-", "_") for name in unset or ()]
    unknown = [name for name in removed if name not in _NAMES]
    if unknown:
        raise Failure(f"--unset: {unknown[0]} is none of {', '.join(_NAMES)}", exit_code=2)
    if not changes and not removed:
        raise Failure("say what to change, such as --messages-per-second 50", exit_code=2)
    _print(
        asyncio.run(_set(admin_service_for(context, home), tenant, changes, removed)),
        as_json=as_json,
    )


async def _get(service: AdminService, tenant: str | None) -> TenantPolicyOut:
    async with service.operator(INTERACTIVE_RETRIES) as operator:
        return await operator.tenant_policy(tenant)


async def _set(
    service: AdminService, tenant: str | None, changes: dict[str, float | int], removed: list[str]
) -> TenantPolicyOut:
    async with service.operator(INTERACTIVE_RETRIES) as operator:
        own = (await operator.tenant_policy(tenant)).own.model_dump()
        return await operator.set_tenant_policy(tenant, {**own, **dict.fromkeys(removed), **changes})


def _print(policy: TenantPolicyOut, *, as_json: bool) -> None:
    if as_json:
        typer.echo(policy.model_dump_json(indent=2))
        return
    for name in _NAMES:
        value = getattr(policy.effective, name)
        is_default = policy.tenant is not None and getattr(policy.own, name) is None
        shown = "no limit" if value is None else f"{value:g}"
        typer.echo(f"{name:<20} {shown}{' (default)' if is_default else ''}")
