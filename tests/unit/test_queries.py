"""Vectors of questions: cached, asked for once, and asked for together."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from memstream.retriever.asking import QueryPolicy, QueryVectors
from memstream.runtime.errors import MemstreamError, Rejected, Unavailable
from memstream.vectors.space import Vectors


class Server:
    """An embeddings server that answers with each text's length, once it is let go."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.most_at_once = 0
        self.go = asyncio.Event()
        self.go.set()
        self.error: MemstreamError | None = None
        self.refused: set[str] = set()
        self._at_once = 0

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Answer a call."""
        self.calls.append(list(texts))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await self.go.wait()
        finally:
            self._at_once -= 1
        if self.error:
            raise self.error
        if self.refused & set(texts):
            raise Rejected("HTTP 400")
        return np.array([[len(text)] for text in texts], np.float32)


def vectors_of(server: Server, **policy: int) -> QueryVectors:
    """Make the part that is looked at."""
    return QueryVectors(server.embed, QueryPolicy(**policy))


@given(st.lists(st.lists(st.text("abc", min_size=1, max_size=3), max_size=5), max_size=12), st.integers(1, 4))
async def test_every_question_gets_its_own_vector(questions: list[list[str]], texts: int) -> None:
    queries = vectors_of(Server(), texts=texts, calls=2, cache_size=3)

    answers = await asyncio.gather(*(queries.get(question) for question in questions))

    assert [[int(vector[0]) for vector in answer] for answer in answers] == [
        [len(text) for text in question] for question in questions
    ]


async def test_a_question_asked_lately_is_not_asked_for_again() -> None:
    server = Server()
    queries = vectors_of(server)
    await queries.get(["a"])
    await queries.get(["a", "b"])

    assert server.calls == [["a"], ["b"]]


async def test_the_questions_asked_longest_ago_are_forgotten_first() -> None:
    server = Server()
    queries = vectors_of(server, cache_size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await queries.get([text])

    assert server.calls == [["a"], ["b"], ["c"], ["b"]]


async def test_a_question_that_is_on_its_way_is_asked_for_once() -> None:
    server = Server()
    server.go.clear()
    queries = vectors_of(server)
    asking = [asyncio.create_task(queries.get(["a"])) for _ in range(10)]
    await until(lambda: server.calls, "the call is under way")
    server.go.set()
    await asyncio.gather(*asking)

    assert server.calls == [["a"]]


async def test_what_comes_while_all_calls_are_under_way_shares_the_next() -> None:
    server = Server()
    server.go.clear()
    queries = vectors_of(server, calls=1, texts=3)
    first = asyncio.create_task(queries.get(["0"]))
    await until(lambda: server.calls, "the call is under way")
    others = [asyncio.create_task(queries.get([str(number)])) for number in range(1, 6)]
    await asyncio.sleep(0)
    server.go.set()
    await asyncio.gather(first, *others)

    assert server.calls == [["0"], ["1", "2", "3"], ["4", "5"]]
    assert server.most_at_once == 1


async def test_what_nobody_waits_for_any_more_is_left_out() -> None:
    server = Server()
    server.go.clear()
    queries = vectors_of(server, calls=1)
    first = asyncio.create_task(queries.get(["0"]))
    await until(lambda: server.calls, "the call is under way")
    gone, stays = asyncio.create_task(queries.get(["gone"])), asyncio.create_task(queries.get(["stays"]))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    server.go.set()
    await asyncio.gather(first, stays)

    assert server.calls == [["0"], ["stays"]]
    assert int((await queries.get(["gone"]))[0][0]) == 4


async def test_who_gives_up_does_not_give_up_for_others() -> None:
    server = Server()
    server.go.clear()
    queries = vectors_of(server)
    gone, stays = asyncio.create_task(queries.get(["a"])), asyncio.create_task(queries.get(["a"]))
    await until(lambda: server.calls, "the call is under way")
    gone.cancel()
    await asyncio.sleep(0)
    server.go.set()

    assert int((await stays)[0][0]) == 1


async def test_one_refused_question_spoils_no_other() -> None:
    server = Server()
    server.go.clear()
    server.refused = {"bad"}
    queries = vectors_of(server, calls=1)
    asking = [asyncio.create_task(queries.get([text])) for text in ("first", "bad", "good")]
    await until(lambda: server.calls, "the call is under way")
    server.go.set()
    first, bad, good = await asyncio.gather(*asking, return_exceptions=True)

    assert isinstance(bad, Rejected)
    assert not isinstance(first, BaseException)
    assert not isinstance(good, BaseException)


async def test_a_failure_is_reported_to_all_and_not_cached() -> None:
    server = Server()
    server.error = Unavailable("the embeddings server", "down")
    queries = vectors_of(server)
    found = await asyncio.gather(*(queries.get([text]) for text in "aab"), return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in found)
    server.error = None

    assert int((await queries.get(["a"]))[0][0]) == 1


async def test_closed_it_leaves_nobody_waiting() -> None:
    server = Server()
    server.go.clear()
    queries = vectors_of(server)
    asking = asyncio.create_task(queries.get(["a"]))
    await until(lambda: server.calls, "the call is under way")
    await queries.aclose()

    with pytest.raises(Unavailable):
        await asking


async def test_tenants_take_turns_in_the_calls() -> None:
    asked: list[list[str]] = []
    go = asyncio.Event()

    async def embed(texts: Sequence[str]) -> Vectors:
        asked.append(list(texts))
        await go.wait()
        return np.zeros((len(texts), 2), np.float32)

    queries = QueryVectors(embed, QueryPolicy(texts=4, calls=1))
    many = asyncio.create_task(queries.get([f"hostile {number}" for number in range(100)], "hostile"))
    await until(lambda: bool(asked), "a call is made")
    one = asyncio.create_task(queries.get(["honest"], "honest"))
    shared = asyncio.create_task(queries.get(["hostile 99"], "other"))
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(many, one, shared)

    assert "honest" in asked[1]
    assert "hostile 99" in asked[1]
    assert sorted(text for call in asked for text in call) == sorted(
        ["honest", *(f"hostile {number}" for number in range(100))]
    )
