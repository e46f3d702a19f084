"""The keyword arguments of the client: a type checker knows them, and they are those of the HTTP bodies."""

import json
import re
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel

from memstream.client import ContextOptions, Memstream, Operator, SearchOptions, TimelineOptions
from memstream.contracts.searches import ContextIn, SearchIn
from memstream.contracts.timelines import TimelineIn

REPOSITORY = Path(__file__).parents[2]

SNIPPET = """
from memstream.client import Memstream, Operator

async def right(memory: Memstream, operator: Operator) -> None:
    await memory.search("ana", "where?", limit=3, min_relevance=0.5, filter={"speaker": "Jonas"}, mode="dense")
    await memory.context("ana", "where?", token_budget=100, neighbours=None)
    await memory.timeline("ana", limit=3, after="2026-01-01T00:00:00Z")
    await operator.page(dead_class="poison", limit=3)

async def wrong(memory: Memstream, operator: Operator) -> None:
    await memory.search("ana", "where?", limt=3)  # Unexpected keyword argument "limt"
    await memory.search("ana", "where?", min_relevance="high")  # Argument "min_relevance"
    await memory.search("ana", "where?", mode="fuzzy")  # Argument "mode"
    await memory.search("ana", "where?", token_budget=3)  # Unexpected keyword argument "token_budget"
    await memory.context("ana", "where?", limit=3)  # Missing named argument "token_budget"
    await memory.context("ana", "where?", token_budget=3, encoding="utf-8")  # Argument "encoding"
    await memory.timeline("ana", limit="3")  # Argument "limit"
    memory.messages("ana", conversation=3)  # Unexpected keyword argument "conversation"
    await memory.delete_message("ana", message=3)  # Unexpected keyword argument "message"
    await operator.page(klass="poison")  # Unexpected keyword argument "klass"
    Memstream(ingest_url="", retriever_url="", api_key="", timeout="3")  # Argument "timeout"
    Operator(ingest_url="", admin_key="", retry=3)  # Unexpected keyword argument "retry"
"""


@pytest.mark.parametrize(
    ("options", "body", "positional"),
    [
        (SearchOptions, SearchIn, {"user_id", "query"}),
        (ContextOptions, ContextIn, {"user_id", "query"}),
        (TimelineOptions, TimelineIn, {"user_id"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_options_are_the_fields_of_the_body(options: type, body: type[BaseModel], positional: set[str]) -> None:
    assert set(options.__annotations__) | positional == set(body.model_fields)


@pytest.mark.timeout(600)
async def test_mypy_refuses_a_misspelt_keyword_and_a_wrong_type(tmp_path: Path) -> None:
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET)
    # With the repository's settings and cache: then only the snippet is new to mypy.
    mypy = await create_subprocess_exec(sys.executable, "-m", "mypy", str(file), cwd=REPOSITORY, stdout=PIPE)
    out, _ = await mypy.communicate()

    found = re.findall(r"snippet\.py:(\d+): error: (.*)", out.decode())
    expected = {n: line.partition("  # ")[2] for n, line in enumerate(SNIPPET.splitlines(), 1) if "  # " in line}
    assert [int(line) for line, _ in found] == list(expected), out.decode()
    for line, message in found:
        assert expected[int(line)] in message


async def test_an_option_of_none_is_not_sent() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"messages": [], "letters": [], "cursor": None})

    transport = httpx.MockTransport(answer)
    async with (
        Memstream(ingest_url="http://i", retriever_url="http://r", api_key="k", transport=transport) as memory,
        Operator(ingest_url="http://i", admin_key="k", transport=transport) as operator,
    ):
        assert [message async for message in memory.messages("ana", limit=None, conversation_id=None)] == []
        await operator.page(dead_class=None, tenant="acme")

    assert [dict(request.url.params) for request in sent] == [
        {"user_id": "ana", "limit": "100"},
        {"tenant": "acme", "limit": "100"},
    ]


async def test_options_of_a_context_are_sent_as_they_were_given() -> None:
    sent: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        document = {"context": "", "tokens": 0, "citations": [], "abstained": True, "degraded": False, "pending": []}
        return httpx.Response(200, json={**document, "model": "m", "took_ms": 1})

    transport = httpx.MockTransport(answer)
    async with Memstream(ingest_url="http://i", retriever_url="http://r", api_key="k", transport=transport) as memory:
        await memory.context("ana", "where?", token_budget=9, recency={"half_life": 60.0}, mode=None, shared=False)

    assert json.loads(sent[0]) == {
        "user_id": "ana",
        "query": "where?",
        "token_budget": 9,
        "recency": {"half_life": 60.0},
        "shared": False,
    }
