"""Single messages posted to ingest at a steady rate, in open loop."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator

from benchmarks.arrivals import Arrivals
from benchmarks.backlog import Messages
from benchmarks.http_client import HttpClient
from benchmarks.site import Site

_OK = range(200, 300)


class Load:
    """The messages posted so far."""

    def __init__(self, client: HttpClient, messages: Messages) -> None:
        self._client = client
        self._messages = messages
        self.accepted = 0
        self.failed: Counter[str] = Counter()
        """Posts without a 2xx, by status or error."""

    async def post(self, number: int, due: float) -> None:
        """Post a message."""
        del due
        text, user = self._messages.text(number), self._messages.user(number)
        body = json.dumps({"user_id": user, "message_id": f"posted-{number}", "text": text}).encode()
        try:
            status, _ = await self._client.post("/v1/messages", body)
        except OSError as error:
            self.failed[type(error).__name__] += 1
            return
        if status in _OK:
            self.accepted += 1
        else:
            self.failed[str(status)] += 1


@contextlib.asynccontextmanager
async def loaded(site: Site, rate: float, messages: Messages) -> AsyncIterator[Load]:
    """Post this many messages a second while the context is open; when it has closed, all have been answered."""
    client = HttpClient(site.plan.ingest_url, site.keys.api_key)
    load, stop = Load(client, messages), asyncio.Event()
    posting = asyncio.create_task(Arrivals(rate, messages.seed).run(load.post, until=stop.is_set))
    try:
        yield load
        stop.set()
        await posting
    finally:
        posting.cancel()
        client.close()
