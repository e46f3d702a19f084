"""What an embedded server asks of every request, so that no web page and no other user of the machine can use it."""

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_BEARER = "bearer "
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served."""

    status: HTTPStatus
    reason: str


class RequestGuard:
    """ASGI middleware that serves only requests of programs that have the key.

    It refuses a `Host` that is neither a loopback name nor the server's own, which a page has after DNS rebinding; an
    `Origin` other than the server's own, which a browser adds to what a page sends; a body that is not JSON, which a
    page may send without asking; and a missing or wrong key, but for the paths in `open_paths`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        key: str | None,
        open_paths: Collection[str],
        respond: Callable[[Refusal], Response],
    ) -> None:
        """Guard an application. `host` is what it listens on; a `key` of None lets everybody in who is no web page."""
        self._app = app
        self._host = host
        self._key = None if key is None else key.encode()
        self._open_paths = frozenset(open_paths)
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        refusal = self._refusal(scope["path"], Headers(scope=scope)) if scope["type"] == "http" else None
        await (self._app if refusal is None else self._respond(refusal))(scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> Refusal | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return Refusal(HTTPStatus.MISDIRECTED_REQUEST, "the Host header does not name this server")
        if headers.get("origin", f"http://{host}").lower() != f"http://{host}".lower():
            return Refusal(HTTPStatus.FORBIDDEN, "requests of web pages are not served")
        if not self._has_key(headers) and path not in self._open_paths:
            return Refusal(HTTPStatus.UNAUTHORIZED, "this needs the server's key")
        if _has_body(headers) and headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a body must have the Content-Type {_JSON}")
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name is not None and (name in {"localhost", self._host} or _is_loopback(name))

    def _has_key(self, headers: Headers) -> bool:
        if self._key is None:
            return True
        bearer = headers.get("authorization", "")
        given = bearer[len(_BEARER) :].strip() if bearer[: len(_BEARER)].lower() == _BEARER else headers.get("api-key")
        return given is not None and secrets.compare_digest(given.encode(), self._key)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
