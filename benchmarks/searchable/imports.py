"""A concurrent import: batches in the bulk lane, one after the other, as fast as they are accepted."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from benchmarks.backlog import Messages, progress
from benchmarks.command import say
from benchmarks.http_client import HttpClient
from benchmarks.site import Failed, Site

_BATCH = 500
_OK = range(200, 300)


@dataclass(slots=True)
class Transfer:
    """An import in progress."""

    site: Site
    messages: int
    accepted: int = 0

    async def left(self) -> int:
        """Return how many messages are not stored yet, posted or not."""
        if not self.messages:
            return 0
        return self.messages - self.accepted + (await progress(self.site, "bulk")).left

    async def post(self, batches: Sequence[tuple[int, bytes]]) -> None:
        """Post batches, each with the number of its messages.

        Raises:
            Failed: a batch was not accepted completely.

        """
        client = HttpClient(self.site.plan.ingest_url, self.site.keys.api_key)
        begun = time.perf_counter()
        for count, body in batches:
            status, answer = await client.post("/v1/messages/batch?lane=bulk", body, "application/x-ndjson")
            if status not in _OK or json.loads(answer)["accepted"] != count:
                raise Failed(f"a batch of the import was answered with {status}: {answer[:300]!r}")
            self.accepted += count
        client.close()
        if batches:
            say(f"  import posted, {self.messages / (time.perf_counter() - begun):.0f} messages/s")


def _lines(messages: Messages, numbers: range) -> bytes:
    return "\n".join(
        json.dumps(
            {
                "user_id": f"imported-{number % messages.users}",
                "message_id": f"imported-{number}",
                "text": messages.text(number),
            }
        )
        for number in numbers
    ).encode()


@contextlib.asynccontextmanager
async def importing(site: Site, messages: Messages, count: int) -> AsyncIterator[Transfer]:
    """Post an import while the context is open; the rest is not posted.

    Raises:
        Failed: a batch was not accepted.

    """
    transfer = Transfer(site, count)
    # Prepared first, so that it doesn't delay the live messages, which this process sends too.
    parts = [range(start, min(count, start + _BATCH)) for start in range(0, count, _BATCH)]
    batches = [(len(numbers), _lines(messages, numbers)) for numbers in parts]
    posting = asyncio.create_task(transfer.post(batches))
    try:
        yield transfer
        if posting.done():
            posting.result()
    finally:
        posting.cancel()
        with contextlib.suppress(asyncio.CancelledError, Failed, OSError):
            await posting
