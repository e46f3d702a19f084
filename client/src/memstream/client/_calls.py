"""A call with its repetitions, over httpx."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from random import Random, SystemRandom
from types import TracebackType
from typing import Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from memstream.client._errors import ConnectionFailed, InvalidRequest, MemstreamClientError, ServerFault, refusal
from memstream.client._retries import Retries

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Request:
    """What to send."""

    method: str
    url: str
    content: bytes | None = None
    media_type: str = "application/json"
    params: dict[str, str] = field(default_factory=dict)
    patience: float = 0.0
    """Seconds that the service may take on purpose, besides its work."""


class Calls:
    """Sends requests with a key, repeats those that fail for now, and reads the answers."""

    def __init__(  # noqa: PLR0913 - named arguments, set in one place
        self,
        *,
        api_key: str,
        retries: Retries,
        timeout: float,
        transport: httpx.AsyncBaseTransport | None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_wait: Callable[[MemstreamClientError, float], None] | None = None,
        chance: Random | None = None,
    ) -> None:
        self._retries = retries
        self._timeout = timeout
        self._sleep = sleep
        self._on_wait = on_wait
        self._chance = chance or SystemRandom()
        try:
            self._http = httpx.AsyncClient(
                headers={
                    "Authorization": f"Bearer {api_key}",
                    "Accept": "application/json",
                    "User-Agent": f"memstream-client/{version('memstream-client')}",
                },
                transport=transport,
                # What listens on this machine is never reached through a proxy.
                mounts={"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None},
            )
        except UnicodeEncodeError as error:
            raise InvalidRequest("the API key holds characters that no key has") from error

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def ask(self, request: Request, answer: type[Answer]) -> Answer:
        """Send a request until it succeeds or its time is up, and read the answer.

        Raises:
            MemstreamClientError: see `memstream.client` for the tree.

        """
        response = await self._repeat(request)
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            raise ServerFault(
                f"{request.url} gave an answer that is not Memstream's", status=response.status_code
            ) from error

    async def once(self, request: Request, timeout: float) -> httpx.Response:  # noqa: ASYNC109 - httpx keeps it
        """Send a request one time, and give the answer whatever its status is.

        Raises:
            ConnectionFailed: nothing answered in time.
            InvalidRequest: the URL is none.

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
                raise InvalidRequest(f"{request.url!r} is no http or https URL") from error
            raise ConnectionFailed(f"no answer from {request.url}: {error or type(error).__name__}") from error
        except httpx.RequestError as error:
            raise ServerFault(f"{request.url} gave an answer that can't be read: {error}") from error
        except httpx.InvalidURL as error:
            raise InvalidRequest(f"{request.url!r} is no URL: {error}") from error

    async def _repeat(self, request: Request) -> httpx.Response:
        now = asyncio.get_running_loop().time
        started = now()
        attempt = 0
        while True:
            attempt += 1
            left = self._retries.deadline - (now() - started)
            allowed = min(self._timeout, left) if attempt > 1 else self._timeout
            try:
                response = await self.once(request, max(allowed, 0.001) + request.patience)
                if response.is_success:
                    return response
                raise refusal(request.url, response.status_code, response.headers, response.content)
            except MemstreamClientError as error:
                seconds = self._retries.wait(error, attempt, now() - started, self._chance)
                if seconds is None:
                    raise
                if self._on_wait is not None:
                    self._on_wait(error, seconds)
            await self._sleep(seconds)
