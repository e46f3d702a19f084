"""The client for operators."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from random import Random
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from memstream.client._calls import Calls, Request
from memstream.client._errors import MemstreamClientError, malformed
from memstream.client._retries import Retries
from memstream.contracts.dead_letters import (
    MAX_IDS,
    DeadLetter,
    DeadLetterContent,
    DeadLetterIds,
    DeadLetterPage,
    LetterResult,
    LetterResults,
)


class Operator:
    """Looks after the messages that could not be stored: the dead letters of all tenants.

    `admin_key` is a key for operators. The other arguments, the errors and the repetitions are those of `Memstream`.
    """

    def __init__(  # noqa: PLR0913 - named arguments, two of them needed
        self,
        *,
        ingest_url: str,
        admin_key: str,
        timeout: float = 30.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        on_wait: Callable[[MemstreamClientError, float], None] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Random | None = None,
    ) -> None:
        self._url = f"{ingest_url.rstrip('/')}/v1/admin/dead-letters"
        self._calls = Calls(
            api_key=admin_key,
            retries=retries,
            timeout=timeout,
            transport=transport,
            sleep=sleep,
            on_wait=on_wait,
            chance=chance,
        )

    async def __aenter__(self) -> Self:
        await self._calls.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._calls.__aexit__(kind, error, trace)

    async def page(self, *, cursor: str | None = None, limit: int = 100, **filters: str) -> DeadLetterPage:
        """List dead letters, the newest last; `filters` are `class`, `reason`, `tenant`, `after` and `before`."""
        params = {**filters, "limit": str(limit), **({"cursor": cursor} if cursor is not None else {})}
        return await self._calls.ask(Request("GET", self._url, params=params), DeadLetterPage)

    async def dead_letters(self, *, limit: int = 100, **filters: str) -> AsyncGenerator[DeadLetter, None]:
        """Give all dead letters that `page` would list, from pages of `limit`."""
        cursor: str | None = None
        while True:
            page = await self.page(cursor=cursor, limit=limit, **filters)
            for letter in page.letters:
                yield letter
            cursor = page.cursor
            if cursor is None:
                return

    async def dead_letter(self, letter_id: str) -> DeadLetterContent:
        """Show what is in a dead letter."""
        return await self._calls.ask(Request("GET", f"{self._url}/{quote(letter_id, safe='')}"), DeadLetterContent)

    async def replay(self, letter_ids: Sequence[str]) -> list[LetterResult]:
        """Try messages again, and say what became of each letter.

        Each is replayed once. After a lost answer this is asked again, and then says `missing` of what was replayed.
        """
        return await self._each("replay", letter_ids)

    async def drop(self, letter_ids: Sequence[str]) -> list[LetterResult]:
        """Give messages up for good, and say what became of each letter; `missing` as for `replay`."""
        return await self._each("drop", letter_ids)

    async def _each(self, action: str, letter_ids: Sequence[str]) -> list[LetterResult]:
        results: list[LetterResult] = []
        for start in range(0, len(letter_ids), MAX_IDS):
            try:
                body = DeadLetterIds(ids=list(letter_ids[start : start + MAX_IDS]))
            except ValidationError as error:
                raise malformed("list of ids", error) from error
            request = Request("POST", f"{self._url}/{action}", body.model_dump_json().encode())
            results += (await self._calls.ask(request, LetterResults)).results
        return results
