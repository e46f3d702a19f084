"""Who is calling: the tenant comes from the key, never from the body."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request

from memstream.runtime.access import Credential, KeyRing

_SCHEME = "bearer "


async def authenticate(request: Request, ring: KeyRing) -> Credential:
    """Give what the request's key stands for.

    Raises:
        HTTPException: 401, no key or an unknown one.
        Unavailable: the key can't be looked up now.

    """
    header = request.headers.get("authorization", "")
    if header[: len(_SCHEME)].lower() != _SCHEME or not (key := header[len(_SCHEME) :].strip()):
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "send a key as `Authorization: Bearer KEY`")
    credential = await ring.look_up(key)
    if credential is None:
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "this key is not known")
    return credential


async def authenticate_admin(request: Request, ring: KeyRing) -> Credential:
    """Give what the request's key stands for, which has to be a key for operators.

    Raises:
        HTTPException: 401, no key or an unknown one; 403, a key that is not for operators.
        Unavailable: the key can't be looked up now.

    """
    credential = await authenticate(request, ring)
    if not credential.admin:
        raise HTTPException(HTTPStatus.FORBIDDEN, "this needs a key for operators (`issue-key --admin`)")
    return credential
