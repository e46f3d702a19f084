"""Who is calling: tenant, user and scopes come from the key or the token, never from the body."""

from http import HTTPStatus
from typing import Annotated, Protocol, cast

from fastapi import Security
from fastapi.openapi.models import HTTPBearer
from fastapi.openapi.models import SecurityBase as SecurityScheme
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException
from starlette.requests import Request

from memstream.contracts.api_keys import Scope
from memstream.web.body_budget import hold_of
from memstream.web.credentials import Credential, CredentialSource
from memstream.web.headers import header

_SCHEME = "bearer "

_HEADER_LENGTH = 8192
"""Of the longest header that is looked at: keys have 50 characters, tokens of an identity provider a few thousand."""


class Parts(Protocol):
    """What an application keeps as its state's `parts`, as far as it matters here."""

    @property
    def ring(self) -> CredentialSource:
        """The keys that are known."""


async def authenticate(request: Request, ring: CredentialSource) -> Credential:
    """Return the credential of the request's API key or token.

    Raises:
        HTTPException: 401, none or one that is not valid.
        Unavailable: it can't be looked up now.

    """
    given = header(request, b"authorization")
    if given[: len(_SCHEME)].lower() != _SCHEME or not (bearer := given[len(_SCHEME) :].strip()):
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "send a key as `Authorization: Bearer KEY`")
    credential = await ring.look_up(bearer) if len(given) <= _HEADER_LENGTH else None
    if credential is None:
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "this key is not valid: it is unknown, revoked or expired")
    if (hold := hold_of(request)) is not None:
        hold.tenant = credential.tenant
    return credential


class Scoped(SecurityBase):
    """The check that a caller has a scope: a dependency of a route, or called by an endpoint that has none.

    It is made first: a stranger learns nothing of what else is wrong with a request. The OpenAPI document takes a
    route's scope from its dependencies, so an endpoint that calls it declares it as well.
    """

    model: SecurityScheme = HTTPBearer(
        description="An API key, or a token (JWT) of the identity provider that the services are set up for. Each "
        "route needs one scope. A key or a token that is bound to a user reads and writes as that user only."
    )
    scheme_name = "key"

    def __init__(self, scope: Scope) -> None:
        self.scope: Scope = scope
        self.declared = Security(self, scopes=[scope])
        """For `dependencies` of a route whose endpoint calls it."""

    async def __call__(self, request: Request) -> Credential:
        """Return the caller's credential, by the keys of the request's application.

        Raises:
            HTTPException: 401, no key or one that is not valid.
            Forbidden: the key lacks the scope.
            Unavailable: the key can't be looked up now.

        """
        credential = await authenticate(request, cast("Parts", request.app.state.parts).ring)
        credential.check_scope(self.scope)
        return credential


INGEST = Scoped("ingest")
SEARCH = Scoped("search")
DELETE = Scoped("delete")
ADMIN = Scoped("admin")

IngestCaller = Annotated[Credential, INGEST.declared]
SearchCaller = Annotated[Credential, SEARCH.declared]
DeleteCaller = Annotated[Credential, DELETE.declared]
AdminCaller = Annotated[Credential, ADMIN.declared]
