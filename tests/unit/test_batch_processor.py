"""Embedding and storing a batch: what passes is waited out, the one that spoils a batch is found."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from unit.examples import FencedPoints, NoTombstones, job, recorded, seeded, tokens
from unit.manual_clock import START, ManualClock
from waiting import PATIENCE

from memstream.contracts.keys import Lane
from memstream.embedder.batch_processor import BatchProcessor, Servers
from memstream.embedder.deletions import Tombstone
from memstream.embedder.dependencies import DependencyFaults
from memstream.embedder.jobs import Dead, EmbeddingJob, Outcome, Pending, Stored, Tombstoned
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.retries import Retrier
from memstream.embedder.storing import Tombstones
from memstream.runtime.backoff import Backoff
from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Unavailable
from memstream.runtime.health import Pulse
from memstream.vectors.space import Vectors
from memstream.vectors.store import EmbeddedChunk, NewVersion, Reservation, StoredVersion

DAYS = timedelta(days=3)
Verdict = Callable[[Sequence[str]], Exception | None]


class FakeServers(FencedPoints):
    """An embeddings server and a vector store that fail when they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.upserts = 0
        self.embed_fails: Verdict = lambda _: None
        self.upsert_fails: Verdict = lambda _: None
        self.release_fails: Exception | None = None

    async def embed(self, texts: Sequence[str], _lane: Lane) -> Vectors:
        """Give each text's length."""
        self.calls.append(list(texts))
        if error := self.embed_fails(texts):
            raise error
        return np.array([[len(text)] for text in texts], np.float32)

    @property
    def stored(self) -> dict[str, EmbeddedChunk]:
        """What is stored, by its text."""
        return {chunk.indexed_text: chunk for chunk in self.chunks.values()}

    async def fill(self, versions: Sequence[NewVersion], token: str) -> list[bool]:
        """Store messages."""
        self.upserts += 1
        if error := self.upsert_fails([chunk.indexed_text for one in versions for chunk in one.chunks]):
            raise error
        return await super().fill(versions, token)

    async def release(self, reservations: Sequence[Reservation], now: datetime) -> None:
        """Remove what is reserved."""
        if self.release_fails is not None:
            raise self.release_fails
        await super().release(reservations, now)


class Bench:
    """Storing over such servers, by a manual clock."""

    def __init__(
        self,
        *,
        texts_per_call: int = 128,
        probe: Callable[[], Awaitable[None]] | None = None,
        tombstones: Tombstones | None = None,
    ) -> None:
        self.servers = FakeServers()
        self.clock = ManualClock()
        self.faults = DependencyFaults()
        self.pulse = Pulse(self.clock, 30.0)
        retrying = Retrier(self.faults, self.clock, seeded(), Backoff(initial=1.0, maximum=8.0), self.pulse.beat)
        self.storing = BatchProcessor(
            Servers(self._embed, self.servers, probe, texts_per_call),
            NoTombstones() if tombstones is None else tombstones,
            retrying,
            EmbedderMetrics(CollectorRegistry()),
            new_token=tokens(),
        )

    async def store(self, jobs: Sequence[EmbeddingJob]) -> list[Outcome]:
        """Store a batch, and what is refused as a whole in halves."""
        outcomes = await self.storing.store(jobs)
        if outcomes is not None:
            return outcomes
        middle = len(jobs) // 2
        return [*await self.store(jobs[:middle]), *await self.store(jobs[middle:])]

    async def _embed(self, texts: Sequence[str], lane: Lane) -> Vectors:
        return await self.servers.embed(texts, lane)


def batch(count: int, texts: int = 1) -> list[EmbeddingJob]:
    """Make a batch of messages."""
    return [job(f"{number}-0", texts=texts) for number in range(count)]


def texts_of(jobs: Sequence[EmbeddingJob]) -> list[str]:
    """List the texts of messages."""
    return [text for one in jobs for text in one.texts]


def failing(error: Exception, times: int) -> Verdict:
    """Fail the first calls."""
    left = iter([error] * times)
    return lambda _: next(left, None)


def refusing(poison: str) -> Verdict:
    """Refuse every call that holds this text."""
    return lambda texts: Rejected("HTTP 400: bad input") if poison in texts else None


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 7))
async def test_every_text_is_stored_with_its_own_vector(messages: int, texts: int, texts_per_call: int) -> None:
    bench = Bench(texts_per_call=texts_per_call)
    jobs = batch(messages, texts)

    assert await bench.store(jobs) == [Stored()] * messages
    assert all(len(call) <= texts_per_call for call in bench.servers.calls)
    assert {text: point.vector for text, point in bench.servers.stored.items()} == {
        text: [len(text)] for text in texts_of(jobs)
    }


@given(st.integers(0, 127))
@settings(max_examples=math.ceil(settings().max_examples / 5))
async def test_one_poison_among_128_is_found_in_few_calls(place: int) -> None:
    bench = Bench()
    jobs = batch(128)
    bench.servers.embed_fails = refusing(jobs[place].texts[0])
    outcomes = await bench.store(jobs)

    assert outcomes == [Dead("HTTP 400: bad input") if n == place else Stored() for n in range(128)]
    assert len(bench.servers.calls) == 1 + 2 * math.log2(128)
    assert set(bench.servers.stored) == set(texts_of(jobs)) - set(jobs[place].texts)


async def test_a_reservation_that_the_store_refuses_to_remove_stays_and_stops_nothing() -> None:
    bench = Bench()
    bench.servers.embed_fails = refusing("0-0 part 0")
    bench.servers.release_fails = Rejected("HTTP 400: bad filter")

    assert await bench.store(batch(1)) == [Dead("HTTP 400: bad input")]


async def test_poison_that_the_store_refuses_is_found_too() -> None:
    bench = Bench()
    bench.servers.upsert_fails = refusing("2-0 part 1")

    assert await bench.store(batch(4, texts=2)) == [Stored(), Stored(), Dead("HTTP 400: bad input"), Stored()]
    assert bench.servers.upserts == 5


@given(st.sets(st.integers(0, 19)))
async def test_every_poison_is_found_and_nothing_else(places: set[int]) -> None:
    bench = Bench()
    jobs = batch(20)
    poison = {jobs[place].texts[0] for place in places}
    bench.servers.embed_fails = lambda texts: Rejected("no") if poison & set(texts) else None

    assert await bench.store(jobs) == [Dead("no") if n in places else Stored() for n in range(20)]


async def test_a_message_of_many_texts_dies_as_a_whole() -> None:
    bench = Bench(texts_per_call=2)
    bench.servers.embed_fails = refusing("1-0 part 4")

    assert await bench.store(batch(2, texts=5)) == [Stored(), Dead("HTTP 400: bad input")]
    assert not any(text.startswith("1-0") for text in bench.servers.stored)


@pytest.mark.parametrize(
    "error", [Unavailable("x", "HTTP 429"), Unavailable("x", "HTTP 503"), GlobalFault("x", "HTTP 401")]
)
@pytest.mark.parametrize("stage", ["embed_fails", "upsert_fails"])
async def test_what_passes_is_waited_out_without_a_loss(stage: str, error: MemstreamError) -> None:
    bench = Bench()
    setattr(bench.servers, stage, failing(error, 5))
    jobs = batch(3)

    assert await bench.store(jobs) == [Stored()] * 3
    assert set(bench.servers.stored) == set(texts_of(jobs))
    assert len(bench.clock.slept) == 5


async def test_a_failed_upsert_does_not_embed_again() -> None:
    bench = Bench()
    bench.servers.upsert_fails = failing(Unavailable("Qdrant", "HTTP 503"), 3)
    await bench.store(batch(3))

    assert len(bench.servers.calls) == 1


async def test_waits_grow_up_to_the_maximum() -> None:
    bench = Bench()
    bench.servers.embed_fails = failing(Unavailable("x", "down"), 6)
    await bench.store(batch(1))

    bounds = [1, 2, 4, 8, 8, 8]
    assert all(bound / 2 <= slept <= bound for slept, bound in zip(bench.clock.slept, bounds, strict=True))


async def test_a_server_that_asks_for_a_longer_wait_gets_it_up_to_a_minute() -> None:
    bench = Bench()
    answers = iter([Unavailable("x", "429", retry_after=20.0), Unavailable("x", "429", retry_after=3600.0)])
    bench.servers.embed_fails = lambda _: next(answers, None)
    await bench.store(batch(1))

    assert bench.clock.slept == [20.0, 60.0]


async def test_waiting_is_a_sign_of_life_and_its_fault_is_cleared() -> None:
    bench = Bench()
    seen: list[float] = []

    def verdict(_: Sequence[str]) -> Exception | None:
        seen.append(bench.pulse.silence())
        return Unavailable("x", "down", retry_after=10.0) if len(seen) < 9 else None

    bench.servers.embed_fails = verdict
    await bench.store(batch(1))

    assert max(seen) <= 10.0
    assert bench.faults.is_empty


async def test_a_fault_is_told_while_it_lasts() -> None:
    bench = Bench()
    told: list[str] = []

    async def told_by_readiness(seconds: float) -> None:
        bench.clock.advance(seconds)
        with pytest.raises(GlobalFault) as caught:
            await bench.faults.check()
        told.append(str(caught.value))

    bench.clock.sleep = told_by_readiness  # type: ignore[method-assign] # where the wait is observed
    bench.servers.embed_fails = failing(GlobalFault("x", "HTTP 401"), 2)
    await bench.store(batch(1))

    assert told == ["x: HTTP 401"] * 2


async def test_an_unknown_error_leaves_only_the_message_that_causes_it() -> None:
    bench = Bench()
    bench.servers.embed_fails = lambda texts: ZeroDivisionError() if "2-0 part 0" in texts else None

    assert await bench.store(batch(4)) == [Stored(), Stored(), Pending("ZeroDivisionError"), Stored()]


async def test_an_unknown_error_of_the_store_leaves_the_message_pending() -> None:
    bench = Bench()
    bench.servers.upsert_fails = lambda _: KeyError("x")

    assert await bench.store(batch(3)) == [Pending("KeyError")] * 3


async def test_identical_texts_of_two_messages_are_both_stored() -> None:
    bench = Bench()
    twins = [job("1-0"), job("1-0")]

    assert await bench.store(twins) == [Stored()] * 2


async def fine() -> None:
    """Take what nobody can object to."""


async def down() -> None:
    """Take nothing."""
    raise Unavailable("servers", "down")


async def test_a_text_that_breaks_a_server_that_works_is_found_and_left_and_the_others_are_stored() -> None:
    bench, jobs = Bench(probe=fine), batch(16)
    (bad,) = jobs[5].texts
    bench.servers.embed_fails = lambda texts: Unavailable("provider", "HTTP 500") if bad in texts else None

    outcomes = await bench.store(jobs)

    assert [type(outcome) for outcome in outcomes] == [Pending if place == 5 else Stored for place in range(16)]


async def test_of_many_refused_messages_each_costs_one_attempt_and_one_probe() -> None:
    probes = 0

    async def probe() -> None:
        nonlocal probes
        probes += 1

    bench, jobs = Bench(probe=probe), batch(8)
    bench.servers.embed_fails = lambda _: Rejected("HTTP 400: bad input")

    outcomes = [outcome for one in jobs for outcome in await bench.store([one])]

    assert [type(outcome) for outcome in outcomes] == [Dead] * 8
    # The first one has to be tried again after the first probe.
    assert (len(bench.servers.calls), probes) == (9, 9)
    bench.clock.advance(1)
    await bench.store([jobs[0]])
    assert (len(bench.servers.calls), probes) == (11, 11)


async def test_an_outage_is_waited_out_however_often_it_fails() -> None:
    bench, jobs = Bench(probe=down), batch(4)
    left = iter(range(30))
    bench.servers.embed_fails = lambda _: Unavailable("provider", "HTTP 500") if next(left, None) is not None else None

    outcomes = await bench.store(jobs)

    assert outcomes == [Stored()] * 4
    assert len(bench.servers.calls) == 31


async def test_imports_that_wait_for_the_store_do_not_hold_up_what_was_just_said() -> None:
    bench = Bench()
    go = asyncio.Event()
    fill = bench.servers.fill

    async def fill_slowly(versions: Sequence[NewVersion], token: str) -> list[bool]:
        if any(one.reservation.message_id.startswith("9-") for one in versions):
            await go.wait()
        return await fill(versions, token)

    bench.servers.fill = fill_slowly  # type: ignore[method-assign] # slower than the other
    imports = [asyncio.create_task(bench.store([job(f"9-{number}", lane="bulk")])) for number in range(50)]
    assert await bench.store([job("1-0")]) == [Stored()]
    go.set()
    assert await asyncio.gather(*imports) == [[Stored()]] * 50


async def test_who_waits_for_a_server_goes_on_as_soon_as_another_got_through() -> None:
    faults = DependencyFaults()
    faults.report(Unavailable("Qdrant", "down"))
    waiting = asyncio.create_task(faults.until_cleared("Qdrant", asyncio.sleep(3600)))
    await asyncio.sleep(0)
    faults.clear("Redis")
    await asyncio.sleep(0)
    assert not waiting.done()
    faults.clear("Qdrant")

    await asyncio.wait_for(waiting, PATIENCE)


async def test_once_the_servers_are_seen_to_work_no_fault_is_left() -> None:
    async def work_again() -> None:
        pass

    bench = Bench(probe=work_again)
    bench.servers.embed_fails = failing(Unavailable("the embeddings server", "HTTP 500"), 6)
    await bench.store(batch(2))

    assert bench.faults.is_empty


async def test_two_versions_in_one_batch_are_stored_one_after_the_other() -> None:
    bench = Bench()
    older, newer = job("1-0"), replace(job("2-0"), message=recorded(message_id="1-0"))
    assert await bench.store([newer, older]) == [Stored(), Stored()]

    assert [chunk.message.entry for chunk in bench.servers.chunks.values()] == ["0.live.2-0"]


async def test_an_attempt_that_another_worker_has_replaced_is_repeated() -> None:
    bench, one = Bench(), job("1-0")
    reserve = bench.servers.reserve
    others = iter(["b1", "b2"])

    async def reserve_and_lose(
        reservations: Sequence[Reservation], token: str, now: datetime
    ) -> list[StoredVersion | None]:
        found = await reserve(reservations, token, now)
        if other := next(others, None):
            await reserve(reservations, other, now)
        return found

    bench.servers.reserve = reserve_and_lose  # type: ignore[method-assign] # another worker has the same message

    assert await bench.store([one]) == [Stored()]
    assert bench.servers.upserts == 3
    assert set(bench.servers.tokens.values()) == {"t3"}


async def test_what_is_deleted_between_reservation_and_upsert_is_not_stored_and_found_to_be_deleted() -> None:
    class Deleting(NoTombstones):
        """Deletes the message just after the first look."""

        looks = 0

        async def find_tombstones(self, jobs: Sequence[EmbeddingJob]) -> list[Tombstone]:
            self.looks += 1
            if self.looks == 1:
                bench.servers.delete(Reservation(jobs[0].owner, jobs[0].message.message_id, 1, jobs[0].position))
                return [Tombstone()]
            return [Tombstone(covers_message=True)]

    bench = Bench(tombstones=Deleting())

    assert await bench.store([job("1-0")]) == [Tombstoned()]
    assert bench.servers.chunks == {}


async def test_what_is_dead_leaves_no_reservation() -> None:
    bench = Bench()
    jobs = batch(2)
    bench.servers.embed_fails = refusing(jobs[1].texts[0])

    assert await bench.store(jobs) == [Stored(), Dead("HTTP 400: bad input")]
    assert {message for _, message, _ in bench.servers.tokens} == {jobs[0].message.message_id}


async def test_a_version_that_keeps_another_day_is_embedded_with_that_day() -> None:
    bench = Bench()
    await bench.store([job("1-0")])
    later = recorded(message_id="1-0", text="new", occurred_at=START + DAYS, recorded_at=START + DAYS)
    update = replace(job("2-0"), message=later, chunks=["new"], texts=["4 March 2026, user: new"])

    assert await bench.store([update]) == [Stored()]
    assert set(bench.servers.stored) == {"1 March 2026, user: new"}
