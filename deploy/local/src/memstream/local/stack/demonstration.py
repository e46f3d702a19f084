"""What `memstream demo` shows."""

import asyncio
from collections.abc import Callable
from importlib.resources import files

from memstream.client import Memstream
from memstream.contracts.messages import AcceptedLine, MessageIn
from memstream.contracts.searches import Hit
from memstream.contracts.stack import Stack

USER = "mara"

QUESTIONS = (
    "Where did we leave the spare key?",
    "Is Mara allergic to something?",
    "How much did the plumber cost?",
    "When do we travel to the island?",
    "Where is the wifi password?",
)

_HITS = 3
_TIMEOUT = 60.0

_LATE_MESSAGE = "The parcel with the new bicycle pump is at the neighbours on the second floor."
_LATE_QUESTION = "Who has my parcel?"


def sample_conversation() -> list[MessageIn]:
    """Return forty messages of two people and an assistant, over five weeks."""
    lines = files("memstream.local.stack").joinpath("sample.jsonl").read_text(encoding="utf-8").splitlines()
    return [MessageIn.model_validate_json(line) for line in lines]


async def show(stack: Stack, say: Callable[[str], None]) -> None:
    """Send the conversation, ask questions about it, and print hits and times.

    Raises:
        MemstreamClientError: a call failed.

    """
    clock = asyncio.get_running_loop().time
    messages = sample_conversation()
    async with Memstream(
        ingest_url=stack.ingest_url, retriever_url=stack.retriever_url, api_key=stack.api_key
    ) as memory:
        started = clock()
        sent = await memory.send_batch(messages)
        accept_seconds = clock() - started
        positions = [result.position for result in sent.results if isinstance(result, AcceptedLine)]
        await memory.search(USER, QUESTIONS[0], wait_for=positions, wait_timeout=_TIMEOUT)
        say(
            f"\n{sent.accepted} messages from {messages[0].occurred_at:%d %B} to {messages[-1].occurred_at:%d %B %Y}: "
            f"accepted in {accept_seconds * 1000:.0f} ms, all searchable after {(clock() - started) * 1000:.0f} ms"
        )
        for question in QUESTIONS:
            await _ask(memory, question, say)
        started = clock()
        late = await memory.send(MessageIn(user_id=USER, text=_LATE_MESSAGE, speaker="Jonas"))
        accept_seconds = clock() - started
        await memory.search(USER, _LATE_QUESTION, wait_for=[late.position], wait_timeout=_TIMEOUT)
        say(
            f"\na new message: {_LATE_MESSAGE}\n"
            f"accepted in {accept_seconds * 1000:.0f} ms, searchable after {(clock() - started) * 1000:.0f} ms"
        )
        await _ask(memory, _LATE_QUESTION, say)


async def _ask(memory: Memstream, question: str, say: Callable[[str], None]) -> None:
    started = asyncio.get_running_loop().time()
    answer = await memory.search(USER, question, limit=_HITS)
    took = asyncio.get_running_loop().time() - started
    say(f"\n? {question}   ({took * 1000:.0f} ms, of these {answer.took_ms:.0f} ms in the retriever)")
    for hit in answer.hits:
        say(_described(hit))
    if not answer.hits:
        say("  nothing found")


def _described(hit: Hit) -> str:
    return f"  {hit.relevance:.2f}  {hit.occurred_at:%Y-%m-%d}  {hit.speaker or hit.role}: {hit.text}"
