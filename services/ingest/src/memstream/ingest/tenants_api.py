"""The HTTP routes for tenants' policies: they decode, call once and respond. They need an admin key."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request

from memstream.contracts.ids import Tenant
from memstream.contracts.tenants import TenantPolicy, TenantPolicyIn, TenantPolicyOut
from memstream.streams.connections import Redis
from memstream.streams.tenant_policies import read_policy, write_policy
from memstream.web.application import PROBLEM_ANSWERS, described_body, problem_answers, reference
from memstream.web.bearer import ADMIN
from memstream.web.bodies import JSON, read_json

TENANTS_BODY_MODELS = (TenantPolicyIn,)
"""Models that are referenced from described bodies only."""

_BODY_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class TenantsParts:
    """The objects that the routes call."""

    redis: Redis


def _parts(request: Request) -> TenantsParts:
    return cast("TenantsParts", request.app.state.tenants_parts)


tenants_routes = APIRouter(
    prefix="/v1/admin/tenants",
    tags=["admin"],
    responses=PROBLEM_ANSWERS | problem_answers(HTTPStatus.FORBIDDEN),
    dependencies=[ADMIN.declared],
)
"""The routes; they read `TenantsParts` from the application's state. The key is checked before anything else."""

TenantQuery = Annotated[Tenant | None, Query(description="Whose policy. Default: the defaults of the installation.")]


@tenants_routes.get("", summary="Get a tenant's policy")
async def get_policy(request: Request, tenant: TenantQuery = None) -> TenantPolicyOut:
    """Return the limits of a tenant, and how long its messages are kept."""
    return await _policy(_parts(request).redis, tenant)


@tenants_routes.put(
    "",
    summary="Set a tenant's policy",
    openapi_extra=described_body({JSON: reference(TenantPolicyIn)}),
)
async def put_policy(request: Request) -> TenantPolicyOut:
    """Replace a tenant's policy, and return it. It holds for every replica within two seconds.

    A shorter retention also ends what is stored already: no search finds it any more, and it is removed soon after.
    """
    redis = _parts(request).redis
    # Strictly: `false` is not a limit of 0.
    given = TenantPolicyIn.model_validate_json(await read_json(request, _BODY_BYTES), strict=True)
    await write_policy(redis, given.tenant, given)
    return await _policy(redis, given.tenant)


async def _policy(redis: Redis, tenant: str | None) -> TenantPolicyOut:
    own = await read_policy(redis, tenant)
    effective = own if tenant is None else own.over(await read_policy(redis, None))
    return TenantPolicyOut(tenant=tenant, own=own, effective=TenantPolicy.model_validate(effective.model_dump()))
