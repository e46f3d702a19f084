"""Posts messages through ingest and asks questions through the retriever, as a client would."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.quality.sets import Judged
from memstream.contracts.searches import Hit, SearchOut
from memstream.contracts.stack import Stack

_AT_ONCE = 4
_HITS = 50
"""As many as are judged; more would make the service look at more candidates than it does for an ordinary search."""
_SOME_REJECTED = 1
"""Exit code when lines were over a limit: they are named on stderr, and count as not found."""


async def post(messages: Path, home: Path) -> None:
    """Send a file of messages, and wait until they are searchable."""
    command = str(Path(sys.executable).with_name("memstream"))
    process = await asyncio.create_subprocess_exec(
        command,
        "send",
        "--bulk",
        "--wait",
        str(messages),
        "--home",
        str(home),
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await process.wait() not in (0, _SOME_REJECTED):
        raise SystemExit(f"{messages}: not all of it was taken")


async def ask(asked: Sequence[tuple[Judged, str]], stack: Stack, **fields: Any) -> list[SearchOut]:  # noqa: ANN401 - of a search
    """Ask every question as the user beside it; return the answers in order."""
    bodies = [{"user_id": user, "query": question.question, "limit": _HITS, **fields} for question, user in asked]
    return await search_all(bodies, stack)


async def search_all(bodies: Sequence[Mapping[str, Any]], stack: Stack) -> list[SearchOut]:
    """Make every search, some at once; return the answers in order."""
    gate = asyncio.Semaphore(_AT_ONCE)
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with httpx.AsyncClient(base_url=stack.retriever_url, headers=headers, timeout=60) as http:

        async def one(body: Mapping[str, Any]) -> SearchOut:
            async with gate:
                answer = await http.post("/v1/search", json=body)
                answer.raise_for_status()
                found = SearchOut.model_validate_json(answer.content)
                if found.degraded:
                    raise SystemExit("a question was answered by words alone: its vector came too late")
                return found

        return await asyncio.gather(*(one(body) for body in bodies))


def check_owner(user: str, hits: Sequence[Hit], owners: dict[str, str]) -> None:
    """Stop the run when a hit is another user's.

    Raises:
        SystemExit: it is.

    """
    for hit in hits:
        if owners[hit.message_id] != user:
            raise SystemExit(f"a question of {user} found a message of {owners[hit.message_id]}")
