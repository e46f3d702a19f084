"""Keyword search in any script, and collections that were created before it, on a running stack."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest
import pytest_asyncio
from running_stack import RunningStack
from waiting import PATIENCE

from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import GlobalFault
from memstream.vectors.space import EmbeddingSpace, render
from memstream.vectors.store import CandidateQuery, EmbeddedChunk, StoredMessage, owner_of, without_retention
from memstream.vectors.store.qdrant import QdrantStore
from memstream.vectors.store.qdrant.keyword_spaces import ENGLISH, KeywordSpace

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPACE = EmbeddingSpace("keywords", 2)
ANA = owner_of("acme", "ana")

Open = Callable[[KeywordSpace | None], Awaitable[QdrantStore]]


@pytest_asyncio.fixture
async def opened(stack: RunningStack, user: str) -> AsyncIterator[Open]:
    """Return a function that opens the test's own collection, as a service does that has just been started."""
    name = f"keywords{''.join(filter(str.isalnum, user))}"
    async with AsyncExitStack() as stores:

        async def store(keywords: KeywordSpace | None = None) -> QdrantStore:
            one = QdrantStore(
                SPACE,
                url=stack.info.qdrant_url,
                api_key=stack.info.qdrant_api_key,
                collection=name,
                timeout=PATIENCE,
                keywords=keywords,
                expiry=without_retention(SystemClock().now),
            )
            stores.push_async_callback(one.aclose)
            return one

        yield store
    async with asking(stack) as qdrant:
        await qdrant.delete(f"/collections/{name}")


def asking(stack: RunningStack) -> httpx.AsyncClient:
    """Make an HTTP client of Qdrant."""
    return httpx.AsyncClient(base_url=stack.info.qdrant_url, headers={"api-key": stack.info.qdrant_api_key or ""})


def chunk(text: str) -> EmbeddedChunk:
    """Make a message."""
    message = StoredMessage(owner=ANA.name, message_id=text, text=text, occurred_at=NOON, recorded_at=NOON)
    indexed = render(text, speaker=None, role="user", occurred_at=NOON)
    return EmbeddedChunk(ANA, message, np.ones(2, np.float32), indexed)


async def found(store: QdrantStore, question: str) -> set[str]:
    """Return the texts that share a word with a question."""
    (candidates,) = await store.propose([CandidateQuery(ANA, None, question, 100)])
    return {candidates.messages[point].text for point in candidates.keyword or {}}


CASES = {
    "Das Passwort lautet Mango-Lagune-42.": ("Wie lautet mein Passwort?", "passwort", "mango lagune", "42"),
    "La contraseña es mango-laguna-43.": (
        "¿Cuáles son las contraseñas?",
        "contrasena",
        "contraseñas",
        "mango-laguna-43",
    ),
    "Nous avons mangé au café Zoë.": ("Qui mange au cafe ?", "ZOE", "cafés"),
    "Запасные ключи лежат дома.": ("Где лежит запасной ключ?",),
    "无线网络密码是芒果湖44。": ("无线网络密码是什么", "芒果", "44"),
    "妹は化学を教えています。": ("妹は何を教えていますか", "化学"),
    "와이파이 비밀번호는 망고호수45입니다.": ("비밀번호가 뭐예요?", "망고호수45"),
    "กุญแจสำรองอยู่ใต้กระถางต้นไม้": ("กุญแจสำรองอยู่ที่ไหน",),
    "वाईफाई का पासवर्ड आम-झील-46 है।": ("पासवर्ड क्या है?", "46"),
    "كلمة المرور هي مانجو-47.": ("ما هي كلمات المرور؟", "47"),
    "Mail ana@example.org, or call +49 30 1234567.": ("ana@example.org", "1234567", "+49 30"),
    "Order KX-4471 runs v2.3.1 since 21:15.": ("KX-4471", "v2.3.1", "2.3.1", "4471", "21:15"),
}
"""Messages, and questions that share a word with each."""


async def test_words_are_found_in_any_script_and_codes_as_they_are(opened: Open) -> None:
    writer, reader = await opened(None), await opened(None)
    await writer.ensure()
    await writer.store([chunk(text) for text in CASES])
    for text, questions in CASES.items():
        for question in questions:
            assert text in await found(reader, question), question


async def test_a_collection_from_before_keeps_its_keyword_space_on_both_sides(opened: Open) -> None:
    before = await opened(ENGLISH)
    await before.ensure()
    await before.store([chunk("She ran to the café.")])

    writer, reader = await opened(None), await opened(None)
    await writer.ensure()
    await writer.store([chunk("The cafés are running late.")])

    assert await found(reader, "café") == {"She ran to the café.", "The cafés are running late."}
    assert await found(reader, "run") == {"The cafés are running late."}
    assert await found(reader, "cafe") == set()
    assert await found(before, "café") == await found(reader, "café")


async def test_a_service_that_was_never_told_reads_the_space_before_it_stores(opened: Open) -> None:
    await (await opened(ENGLISH)).ensure()
    await (await opened(None)).store([chunk("the café")])

    assert await found(await opened(ENGLISH), "café") == {"the café"}


async def test_another_collection_under_the_name_is_noticed_by_the_health_check(
    opened: Open, stack: RunningStack
) -> None:
    before, reader = await opened(ENGLISH), await opened(None)
    await before.ensure()
    await reader.check()
    async with asking(stack) as qdrant:
        await qdrant.delete(f"/collections/{before._collection.name}")
    with pytest.raises(GlobalFault, match="is missing"):
        await reader.check()

    writer = await opened(None)
    await writer.ensure()
    await writer.store([chunk("the café")])
    await reader.check()

    assert await found(reader, "cafe") == {"the café"}


async def test_a_collection_without_keyword_vectors_is_an_operators_fault(opened: Open, stack: RunningStack) -> None:
    store = await opened(None)
    body = {"vectors": {SPACE.vector_name: {"size": 2, "distance": "Cosine"}}}
    async with asking(stack) as qdrant:
        (await qdrant.put(f"/collections/{store._collection.name}", json=body)).raise_for_status()

    for asked in (store.ensure, store.check):
        with pytest.raises(GlobalFault, match="no BM25 vectors"):
            await asked()
