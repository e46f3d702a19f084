"""HTTP calls with retries: what both clients, `Memstream` and `Operator`, are built on."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from random import Random, SystemRandom
from types import TracebackType
from typing import Self, TypedDict, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from memstream.client._errors import (
    ConnectionFailed,
    InvalidRequest,
    MemstreamClientError,
    ServerFault,
    error_from_response,
)
from memstream.client._retries import Retries

ResponseT = TypeVar("ResponseT", bound=BaseModel)

_SHORTEST_TIMEOUT = 0.001


class ConnectionOptions(TypedDict, total=False):
    """Keyword arguments of both clients, all optional."""

    timeout: float
    """Seconds for one attempt. Default: 30."""
    retries: Retries
    """For how long a failed request is repeated. Default: `Retries()`, 30 seconds."""
    on_wait: Callable[[MemstreamClientError, float], None] | None
    """Called before each wait, with the error and the seconds until the next attempt. Default: not called."""
    transport: httpx.AsyncBaseTransport | None
    """How httpx reaches the server. Default: over the network."""
    sleep: Callable[[float], Awaitable[None]]
    """Waits between two attempts. Default: `asyncio.sleep`."""
    rng: Random | None
    """Draws the jitter of waits and the random part of message ids. Default: the operating system's."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send."""

    method: str
    url: str
    content: bytes | None = None
    media_type: str = "application/json"
    params: dict[str, str] = field(default_factory=dict)
    server_wait_seconds: float = 0.0
    """How long the server may hold the request back on purpose; added to the timeout."""
    is_repeatable: bool = True
    """Whether a request that failed may be sent again: it has no further effect, even if the first one had."""


class HttpClient:
    """Sends requests with an API key, repeats those that failed temporarily, and parses the answers.

    `ConnectionOptions` describes the arguments besides the key.
    """

    def __init__(  # noqa: PLR0913 - one argument per option
        self,
        *,
        api_key: str,
        timeout: float = 30.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        on_wait: Callable[[MemstreamClientError, float], None] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: Random | None = None,
    ) -> None:
        self._timeout = timeout
        self._retry_policy = retries
        self._on_wait = on_wait
        self._sleep = sleep
        self._rng = rng or SystemRandom()
        try:
            self._http = httpx.AsyncClient(
                headers={
                    "Authorization": f"Bearer {api_key}",
                    "Accept": "application/json",
                    "User-Agent": f"memstream-client/{version('memstream-client')}",
                },
                transport=transport,
                # A service on this machine is never reached through a proxy.
                mounts={"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None},
            )
        except UnicodeEncodeError as error:
            raise InvalidRequest("the API key contains characters that are not allowed in a key") from error

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def _call(self, request: Request, response_type: type[ResponseT]) -> ResponseT:
        """Send a request until it succeeds or its time is up, and return the parsed answer.

        Raises:
            MemstreamClientError: see `memstream.client` for the tree.

        """
        response = await self._send_with_retries(request)
        try:
            return response_type.model_validate_json(response.content)
        except ValidationError as error:
            raise ServerFault(
                f"the answer from {request.url} is not a valid Memstream response "
                "(another server, or another version?)",
                status=response.status_code,
            ) from error

    async def _send_once(self, request: Request, timeout: float) -> httpx.Response:  # noqa: ASYNC109 - httpx keeps it
        """Send a request once, and return the answer whatever its status is.

        Raises:
            ConnectionFailed: no answer came within `timeout` seconds.
            InvalidRequest: the URL is not valid.
            ServerFault: the answer can't be decoded.

        """
        try:
            return await self._http.request(
                request.method,
                request.url,
                content=request.content,
                params=request.params or None,
                headers={"Content-Type": request.media_type} if request.content is not None else None,
                timeout=timeout,
            )
        except httpx.TimeoutException as error:
            raise ConnectionFailed(f"no answer from {request.url} within {timeout:.3g} s") from error
        except httpx.TransportError as error:
            if isinstance(error, httpx.UnsupportedProtocol):
                raise InvalidRequest(f"{request.url!r} is not an http or https URL") from error
            raise ConnectionFailed(f"no answer from {request.url}: {error or type(error).__name__}") from error
        except httpx.RequestError as error:
            raise ServerFault(f"the answer from {request.url} can't be read: {error}") from error
        except httpx.InvalidURL as error:
            raise InvalidRequest(f"{request.url!r} is not a URL: {error}") from error

    async def _send_with_retries(self, request: Request) -> httpx.Response:
        now = asyncio.get_running_loop().time
        started = now()
        attempt = 0
        timeout = max(self._timeout, _SHORTEST_TIMEOUT)
        while True:
            attempt += 1
            try:
                response = await self._send_once(request, timeout + request.server_wait_seconds)
                if response.is_success:
                    return response
                raise error_from_response(request.url, response.status_code, response.headers, response.content)
            except MemstreamClientError as error:
                seconds = self._retry_policy.wait(error, attempt, now() - started, self._rng)
                if seconds is None or not request.is_repeatable:
                    raise
                if self._on_wait is not None:
                    self._on_wait(error, seconds)
            await self._sleep(seconds)
            seconds_left = self._retry_policy.deadline - (now() - started)
            timeout = max(min(self._timeout, seconds_left), _SHORTEST_TIMEOUT)
