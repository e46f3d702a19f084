"""Posts a set through ingest and asks its questions through the retriever, as a client would."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.quality.sets import Judged, JudgedSet
from memstream.contracts.searches import Hit, SearchOut
from memstream.contracts.stack import Stack

_AT_ONCE = 4
_HITS = 50
"""As many as are judged; more would make the service look at more candidates than it does for an ordinary search."""
_SOME_REJECTED = 1
"""Exit code when lines were over a limit: they are named on stderr, and count as not found."""


async def post(judged: JudgedSet, home: Path) -> None:
    """Send the set's messages, and wait until they are searchable."""
    command = str(Path(sys.executable).with_name("memstream"))
    process = await asyncio.create_subprocess_exec(
        command,
        "send",
        "--bulk",
        "--wait",
        str(judged.messages),
        "--home",
        str(home),
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await process.wait() not in (0, _SOME_REJECTED):
        raise SystemExit(f"{judged.messages}: not all of it was taken")


async def ask(asked: Sequence[tuple[Judged, str]], stack: Stack, **fields: Any) -> list[SearchOut]:  # noqa: ANN401 - of a search
    """Ask every question as the user beside it, some at once; return the answers in order."""
    gate = asyncio.Semaphore(_AT_ONCE)
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with httpx.AsyncClient(base_url=stack.retriever_url, headers=headers, timeout=60) as http:

        async def one(question: Judged, user: str) -> SearchOut:
            async with gate:
                body = {"user_id": user, "query": question.question, "limit": _HITS, **fields}
                answer = await http.post("/v1/search", json=body)
                answer.raise_for_status()
                found = SearchOut.model_validate_json(answer.content)
                if found.degraded:
                    raise SystemExit("a question was answered by words alone: its vector came too late")
                return found

        return await asyncio.gather(*(one(question, user) for question, user in asked))


def check_owner(user: str, hits: Sequence[Hit], owners: dict[str, str]) -> None:
    """Stop the run when a hit is another user's.

    Raises:
        SystemExit: it is.

    """
    for hit in hits:
        if owners[hit.message_id] != user:
            raise SystemExit(f"a question of {user} found a message of {owners[hit.message_id]}")
