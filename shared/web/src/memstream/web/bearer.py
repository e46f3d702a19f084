"""Who is calling: the tenant comes from the key, never from the body."""

from http import HTTPStatus
from typing import Annotated, Protocol, cast

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request

from memstream.web.body_budget import hold_of
from memstream.web.credentials import Credential, KeyRing
from memstream.web.headers import header

_SCHEME = "bearer "


class Parts(Protocol):
    """What an application keeps as its state's `parts`, as far as it matters here."""

    @property
    def ring(self) -> KeyRing:
        """The keys that are known."""


async def authenticate(request: Request, ring: KeyRing) -> Credential:
    """Return the credential of the request's API key.

    Raises:
        HTTPException: 401, no key or an unknown one.
        Unavailable: the key can't be looked up now.

    """
    given = header(request, b"authorization")
    if given[: len(_SCHEME)].lower() != _SCHEME or not (key := given[len(_SCHEME) :].strip()):
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "send a key as `Authorization: Bearer KEY`")
    credential = await ring.look_up(key)
    if credential is None:
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "this key is not known")
    if (hold := hold_of(request)) is not None:
        hold.tenant = credential.tenant
    return credential


async def caller_of(request: Request) -> Credential:
    """Return the credential of the request's API key, by the ring of its application.

    Raises:
        HTTPException: 401, no key or an unknown one.
        Unavailable: the key can't be looked up now.

    """
    return await authenticate(request, cast("Parts", request.app.state.parts).ring)


Caller = Annotated[Credential, Depends(caller_of)]
"""Who asks. It is settled first: a stranger learns nothing of what else is wrong with a request."""


async def authenticate_admin(request: Request, ring: KeyRing) -> Credential:
    """Return the credential of the request's API key, which must be an admin key.

    Raises:
        HTTPException: 401, no key or an unknown one; 403, a key that is not for operators.
        Unavailable: the key can't be looked up now.

    """
    credential = await authenticate(request, ring)
    if not credential.admin:
        raise HTTPException(HTTPStatus.FORBIDDEN, "this needs a key for operators (`issue-key --admin`)")
    return credential
