"""What shares a call to the embeddings API."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from unit.examples import job

from memstream.contracts import keys
from memstream.embedder.batching import Batcher, BatchPolicy
from memstream.embedder.jobs import EmbeddingJob

policies = st.builds(
    BatchPolicy, texts=st.integers(1, 12), size=st.integers(1, 200), linger=st.floats(0, 1, allow_subnormal=False)
)
shapes = st.lists(
    st.tuples(
        st.sampled_from(keys.LANES),
        st.integers(1, 2),
        st.integers(1, 15),
        st.integers(1, 250),
    ),
    max_size=40,
)


def jobs_of(shapes: Iterable[tuple[keys.Lane, int, int, int]]) -> list[EmbeddingJob]:
    """Make messages: lane, deliveries, texts, bytes."""
    return [
        job(f"{number}-0", lane=lane, attempts=attempts, texts=texts, size=size)
        for number, (lane, attempts, texts, size) in enumerate(shapes)
    ]


def filled(policy: BatchPolicy, jobs: Iterable[EmbeddingJob]) -> Batcher:
    """Queue messages, all at the time 0."""
    batcher = Batcher(policy)
    for one in jobs:
        batcher.add(one, 0.0)
    return batcher


def taken(batcher: Batcher) -> list[list[EmbeddingJob]]:
    """Take batches until there are none."""
    return [batch for lane in keys.LANES for batch in iter(lambda lane=lane: batcher.take(lane), [])]  # type: ignore[misc]


def entries(jobs: Iterable[EmbeddingJob]) -> list[str]:
    """Name messages by their entries."""
    return [one.delivery.entry_id for one in jobs]


@given(policies, shapes)
def test_nothing_is_lost_or_doubled(policy: BatchPolicy, shapes: list[tuple[keys.Lane, int, int, int]]) -> None:
    jobs = jobs_of(shapes)
    batches = taken(filled(policy, jobs))

    assert sorted(entries(one for batch in batches for one in batch)) == sorted(entries(jobs))


@given(policies, shapes)
def test_a_lane_keeps_its_order(policy: BatchPolicy, shapes: list[tuple[keys.Lane, int, int, int]]) -> None:
    jobs = jobs_of(shapes)
    order = [one for batch in taken(filled(policy, jobs)) for one in batch]

    for lane in keys.LANES:
        queued = [one for one in jobs if one.delivery.lane == lane and not one.is_redelivered]
        assert entries(one for one in order if one.delivery.lane == lane and not one.is_redelivered) == entries(queued)


@given(policies, shapes)
def test_only_a_message_by_itself_may_be_over_the_limits(
    policy: BatchPolicy, shapes: list[tuple[keys.Lane, int, int, int]]
) -> None:
    for batch in taken(filled(policy, jobs_of(shapes))):
        within = sum(len(one.texts) for one in batch) <= policy.texts and sum(one.size for one in batch) <= policy.size
        assert within or len(batch) == 1


@given(policies, shapes)
def test_a_redelivered_message_is_always_alone(
    policy: BatchPolicy, shapes: list[tuple[keys.Lane, int, int, int]]
) -> None:
    for batch in taken(filled(policy, jobs_of(shapes))):
        assert len(batch) == 1 or not any(one.is_redelivered for one in batch)


@given(policies, shapes)
def test_lanes_never_share_a_batch(policy: BatchPolicy, shapes: list[tuple[keys.Lane, int, int, int]]) -> None:
    for batch in taken(filled(policy, jobs_of(shapes))):
        assert len({one.delivery.lane for one in batch}) == 1


@given(st.sampled_from(keys.LANES), policies, shapes)
def test_a_batch_is_due_as_long_as_something_waits_and_never_else(
    lane: keys.Lane, policy: BatchPolicy, shapes: list[tuple[keys.Lane, int, int, int]]
) -> None:
    batcher = filled(policy, jobs_of(shapes))
    late = 20 * policy.linger
    while batcher.due_in(lane, late) is not None:
        assert batcher.due_in(lane, late) == 0.0
        assert batcher.take(lane)

    assert batcher.take(lane) == []


@given(st.lists(st.tuples(st.sampled_from([None, *keys.LANES]), st.floats(0, 1))), policies, shapes)
def test_adding_and_taking_in_any_order_loses_nothing(
    steps: list[tuple[keys.Lane | None, float]], policy: BatchPolicy, shapes: list[tuple[keys.Lane, int, int, int]]
) -> None:
    jobs, batcher, found, now = jobs_of(shapes), Batcher(policy), list[EmbeddingJob](), 0.0
    queue = iter(jobs)
    for lane, seconds in steps:
        now += seconds
        if lane:
            found += batcher.take(lane)
        elif one := next(queue, None):
            batcher.add(one, now)
    for one in queue:
        batcher.add(one, now)
    found += [one for batch in taken(batcher) for one in batch]

    assert sorted(entries(found)) == sorted(entries(jobs))


def test_a_message_lingers_for_others() -> None:
    batcher = Batcher(BatchPolicy(texts=10, size=1000, linger=0.5))
    batcher.add(job("1-0"), 10.0)
    batcher.add(job("2-0"), 10.3)

    assert batcher.due_in("live", 10.0) == 0.5
    assert batcher.due_in("live", 10.25) == 0.25
    assert batcher.due_in("live", 10.5) == batcher.due_in("live", 99.0) == 0.0


def test_lanes_linger_each_for_itself_and_an_import_ten_times_as_long() -> None:
    batcher = Batcher(BatchPolicy(texts=10, size=1000, linger=0.5))
    batcher.add(job("1-0", lane="bulk"), 1.0)
    batcher.add(job("2-0", lane="live"), 1.25)

    assert batcher.due_in("bulk", 1.25) == 4.75
    assert batcher.due_in("live", 1.25) == 0.5


def test_a_full_batch_does_not_linger() -> None:
    by_texts = filled(BatchPolicy(texts=2, size=1000, linger=9.0), [job("1-0"), job("2-0")])
    by_bytes = filled(BatchPolicy(texts=9, size=50, linger=9.0), [job("1-0", size=20), job("2-0", size=30)])

    assert by_texts.due_in("live", 0.0) == by_bytes.due_in("live", 0.0) == 0.0


def test_a_redelivered_message_does_not_linger() -> None:
    batcher = filled(BatchPolicy(texts=9, size=1000, linger=9.0), [job("1-0", attempts=2)])

    assert batcher.due_in("live", 0.0) == 0.0


def test_nothing_is_due_when_nothing_waits() -> None:
    batcher = Batcher(BatchPolicy(texts=9, size=1000, linger=0.0))

    assert batcher.due_in("live", 0.0) is None
    assert batcher.take("live") == []


def test_a_redelivered_message_is_not_put_off_for_ever() -> None:
    batcher = filled(BatchPolicy(texts=1, size=1000, linger=0.0), [job("1-0", attempts=2)])
    order = []
    for number in range(1000):
        batcher.add(job(f"{number}-1"), 0.0)
        order += entries(batcher.take("live"))

    assert "1-0" in order


def test_redelivered_messages_and_the_others_take_turns() -> None:
    jobs = [job(f"{n}-0", attempts=2) for n in range(2)] + [job(f"{n}-1") for n in range(3)]
    batcher = filled(BatchPolicy(texts=1, size=1000, linger=0.0), jobs)

    assert [entries(batch) for batch in taken(batcher)] == [["0-0"], ["0-1"], ["1-0"], ["1-1"], ["2-1"]]


def test_a_tenant_with_one_message_is_in_the_next_batch_however_many_another_has() -> None:
    batcher = filled(BatchPolicy(texts=8, size=1000, linger=0.0), [job(f"{n}-0") for n in range(1000)])
    batcher.add(job("0-9", tenant="other"), 0.0)

    assert "0-9" in entries(batcher.take("live"))


def test_a_refused_batch_is_cut_between_tenants_and_its_parts_go_first() -> None:
    policy = BatchPolicy(texts=200, size=10_000, linger=0.0)
    good = [job(f"{number}-0", tenant="good") for number in range(99)]
    batcher = filled(policy, [*good[:50], job("0-9", tenant="hostile"), *good[50:]])
    batcher.divide(batcher.take("live"), 0.0)

    # All good ones are one call away from being stored.
    assert [entries(batcher.take("live")) for _ in range(2)] == [entries(good), ["0-9"]]


def test_whose_texts_were_refused_shares_no_batch_until_it_is_over() -> None:
    batcher = Batcher(BatchPolicy(texts=200, size=10_000, linger=0.0))
    batcher.divide([job(f"{number}-0", tenant="hostile") for number in range(2)], 0.0)
    batcher.add(job("3-0", tenant="hostile"), 1.0)
    batcher.add(job("4-0", tenant="good"), 1.0)
    batches = taken(batcher)

    assert all(len({one.tenant for one in batch}) == 1 for batch in batches)
    assert len(batches) == 4
    batcher.add(job("5-0", tenant="hostile"), 99.0)
    batcher.add(job("6-0", tenant="good"), 99.0)
    assert len(batcher.take("live")) == 2
