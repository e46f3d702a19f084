"""The decisions of the local embeddings server: what is computed together, and in which order."""

import asyncio
from collections.abc import Sequence

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.local.embeddings.app import build
from memstream.local.embeddings.batches import plan_batches
from memstream.local.embeddings.cpu import use_widest_instructions
from memstream.local.embeddings.model import Tokens, Vectors
from memstream.local.embeddings.queue import (
    MAX_CONSECUTIVE_SMALL,
    SMALL_REQUEST,
    BatchQueue,
    Job,
    new_job,
    store_vectors,
)
from memstream.local.embeddings.scheduler import Overloaded, Scheduler

lengths_of_texts = st.lists(st.integers(1, 300), max_size=200)
budgets = st.integers(1, 2000)


@given(lengths_of_texts, budgets)
def test_every_text_is_in_exactly_one_batch(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget)
    assert all(batches)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))


@given(lengths_of_texts, budgets)
def test_only_a_text_alone_may_exceed_the_budget(lengths: list[int], budget: int) -> None:
    for batch in plan_batches(lengths, budget):
        assert len(batch) == 1 or max(lengths[position] for position in batch) * len(batch) <= budget


@given(lengths_of_texts, budgets)
def test_batches_go_from_long_to_short(lengths: list[int], budget: int) -> None:
    planned = [lengths[position] for batch in plan_batches(lengths, budget) for position in batch]
    assert planned == sorted(lengths, reverse=True)


@given(lengths_of_texts, budgets)
def test_a_batch_is_closed_only_when_the_next_text_has_no_room(lengths: list[int], budget: int) -> None:
    for batch in plan_batches(lengths, budget)[:-1]:
        assert lengths[batch[0]] * (len(batch) + 1) > budget


def texts(count: int, length: int = 10) -> list[Tokens]:
    return [Tokens([7] * length, length)] * count


def taken(queue: BatchQueue) -> list[set[Job]]:
    found = []
    while batch := queue.next_batch():
        found.append({place.job for place in batch})
    return found


def test_small_requests_overtake_and_are_computed_together() -> None:
    queue = BatchQueue(batch_tokens=100)
    large, first, second = new_job(texts(20), 2), new_job(texts(1), 2), new_job(texts(SMALL_REQUEST), 2)
    for job in (large, first, second):
        queue.add(job)
    assert taken(queue) == [{first, second}, {large}, {large}]


def test_small_requests_do_not_hold_up_a_large_one_for_ever() -> None:
    queue = BatchQueue(batch_tokens=10)
    large = new_job(texts(5), 2)
    queue.add(large)
    for _ in range(20):
        queue.add(new_job(texts(1), 2))
    order = taken(queue)
    assert order.index({large}) == MAX_CONSECUTIVE_SMALL
    assert len(order) == 25


def test_dropped_jobs_are_never_taken() -> None:
    queue = BatchQueue(batch_tokens=20)
    jobs = [new_job(texts(count), 2) for count in (1, 1, 1, 30, 30)]
    for job in jobs:
        queue.add(job)
    for number in (0, 2, 3):
        jobs[number].cancelled = True
    assert set().union(*taken(queue)) == {jobs[1], jobs[4]}


@given(st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=30), max_size=12), st.integers(1, 200))
def test_every_vector_reaches_its_place(requests: list[list[int]], budget: int) -> None:
    queue = BatchQueue(budget)
    jobs = [new_job([Tokens([0] * length, length) for length in lengths], 1) for lengths in requests]
    for job in jobs:
        queue.add(job)
    complete: list[Job] = []
    while batch := queue.next_batch():
        complete += store_vectors(batch, np.array([[len(place.tokens.ids)] for place in batch], dtype=np.float32))
    assert sorted(map(id, complete)) == sorted(map(id, jobs))
    assert [job.vectors[:, 0].tolist() for job in jobs] == requests


class Lengths:
    """A model whose vectors say how long a text is, and that fails on demand."""

    name = "lengths"
    dimensions = 2
    accepts_dimensions = False
    batch_tokens = 64

    def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        return [Tokens([ord(letter) for letter in text], len(text)) for text in texts]

    def embed(self, batch: Sequence[Tokens]) -> Vectors:
        if any(ord("!") in text.ids for text in batch):
            raise RuntimeError("it was told to")
        return np.array([[len(text.ids), 0] for text in batch], dtype=np.float32)


async def test_the_scheduler_answers_each_request() -> None:
    model = Lengths()
    scheduler = Scheduler(model, threads=2)
    requests = [["a" * (1 + (row * size) % 17) for row in range(size)] for size in (1, 2, 100, 3, 50)]
    found = await asyncio.gather(*(scheduler.embed(model.tokenise(request)) for request in requests))
    assert [vectors[:, 0].tolist() for vectors in found] == [[len(text) for text in request] for request in requests]
    scheduler.close()


async def test_the_scheduler_goes_on_after_a_failure() -> None:
    model = Lengths()
    scheduler = Scheduler(model, threads=1)
    with pytest.raises(RuntimeError, match="told to"):
        await scheduler.embed(model.tokenise(["!"] * 50))
    assert (await scheduler.embed(model.tokenise(["fine"]))).tolist() == [[4, 0]]
    scheduler.close()


async def test_room_is_given_back() -> None:
    scheduler = Scheduler(Lengths(), threads=1, capacity=10)
    with scheduler.admitted(2048), pytest.raises(Overloaded, match="2048 texts are waiting"), scheduler.admitted(1):
        pass
    with scheduler.admitted(1):
        pass
    scheduler.close()


async def test_a_failing_model_is_a_server_error() -> None:
    model = Lengths()
    scheduler = Scheduler(model, threads=1)
    transport = httpx.ASGITransport(build(model, scheduler), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/v1/embeddings", json={"model": "lengths", "input": "!"})
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    scheduler.close()


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512cd avx512bw avx512dq avx512vl\n", {"CT2_FORCE_CPU_ISA": "AVX512"}),
        ("flags\t\t: fpu avx2 avx512f\n", {}),
        ("Features\t: fp asimd\n", {}),
    ],
)
def test_avx512_is_asked_for_where_it_is(
    tmp_path_factory: pytest.TempPathFactory, cpuinfo: str, expected: dict[str, str]
) -> None:
    file = tmp_path_factory.mktemp("proc") / "cpuinfo"
    file.write_text(cpuinfo)
    environment: dict[str, str] = {}
    use_widest_instructions(environment, file)
    assert environment == expected
