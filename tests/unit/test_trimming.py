"""Up to where a stream may be trimmed, and the loop that does it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from unit.manual_clock import ManualClock

from memstream.embedder.dependencies import DependencyFaults
from memstream.embedder.maintenance import Maintenance
from memstream.embedder.retention import EntryId, GroupProgress, GroupsMissing, TrimBefore, decide
from memstream.embedder.settings import EmbedderSettings
from memstream.runtime.errors import Unavailable
from memstream.runtime.health import Pulse

LARGEST = 2**64 - 1
times = st.integers(0, 2_000) | st.integers(0, LARGEST)
entry_ids = st.tuples(times, st.integers(0, 3) | st.just(LARGEST))
groups = st.builds(GroupProgress, delivered=entry_ids, oldest_pending=st.none() | entry_ids)
found = st.dictionaries(st.sampled_from(["embedder", "second", "third"]), groups, min_size=1)
durations = st.integers(1, 2_000)


def needs(group: GroupProgress, entry_id: EntryId) -> bool:
    """Say whether an entry is undelivered, or may be pending."""
    undelivered = entry_id > group.delivered
    return undelivered or (group.oldest_pending is not None and entry_id >= group.oldest_pending)


def is_left(entry_id: EntryId, decision: TrimBefore | GroupsMissing) -> bool:
    """Say what XTRIM MINID makes of an entry."""
    return isinstance(decision, GroupsMissing) or entry_id >= decision.entry_id


@given(found, st.lists(entry_ids), times, durations)
def test_what_a_group_needs_stays(
    found: dict[str, GroupProgress], entries: Sequence[EntryId], now: int, window: int
) -> None:
    decision = decide(tuple(found), found, now_ms=now, window_ms=window)
    edges = [group.oldest_pending for group in found.values() if group.oldest_pending]
    for entry_id in (*entries, *edges):
        if any(needs(group, entry_id) for group in found.values()):
            assert is_left(entry_id, decision)


@given(found, st.lists(entry_ids), times, durations)
def test_what_is_younger_than_the_window_stays(
    found: dict[str, GroupProgress], entries: Sequence[EntryId], now: int, window: int
) -> None:
    decision = decide(tuple(found), found, now_ms=now, window_ms=window)
    assert all(is_left(entry_id, decision) for entry_id in entries if entry_id[0] >= now - window)


@given(found, st.lists(entry_ids), times, durations)
def test_what_is_older_and_needed_by_nobody_goes(
    found: dict[str, GroupProgress], entries: Sequence[EntryId], now: int, window: int
) -> None:
    decision = decide(tuple(found), found, now_ms=now, window_ms=window)
    for entry_id in entries:
        is_needed = any(needs(group, entry_id) for group in found.values())
        # The last id of all has none after it to trim before.
        if not is_needed and entry_id[0] < now - window and entry_id != (LARGEST, LARGEST):
            assert not is_left(entry_id, decision)


@given(found, times, durations)
def test_nothing_goes_while_a_declared_group_is_missing(found: dict[str, GroupProgress], now: int, window: int) -> None:
    assert decide((*found, "absent"), found, now_ms=now, window_ms=window) == GroupsMissing(("absent",))


@given(found, groups, times, durations)
def test_groups_that_are_not_declared_hold_nothing_back(
    found: dict[str, GroupProgress], other: GroupProgress, now: int, window: int
) -> None:
    alone = decide(tuple(found), found, now_ms=now, window_ms=window)
    assert decide(tuple(found), {**found, "other": other}, now_ms=now, window_ms=window) == alone


def test_a_group_that_was_set_back_keeps_what_it_has_to_read_again() -> None:
    group = GroupProgress(delivered=(100, 0), oldest_pending=(500, 0))
    assert decide(["g"], {"g": group}, now_ms=9_000, window_ms=1) == TrimBefore((100, 1))


def test_upkeep_goes_on_after_redis_was_away() -> None:
    clock = ManualClock()
    pulse = Pulse(clock, 100.0)
    done: list[str] = []

    async def fails() -> None:
        done.append("failed")
        raise Unavailable("Redis", "away")

    async def jobs() -> None:
        done.append("worked")
        if len(done) == 6:
            raise asyncio.CancelledError

    upkeep = Maintenance([fails, jobs], period=60.0, clock=clock, pulse=pulse, faults=DependencyFaults())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(upkeep.run())
    assert done == ["failed", "worked"] * 3
    assert clock.slept == [60.0, 60.0]
    assert pulse.silence() == 0.0


@pytest.mark.parametrize("name", ["trim_period", "replay_window", "consumer_idle"])
@pytest.mark.parametrize("value", ["0", "-1", "-PT1S", "inf", "nan", "1e300"])
def test_spans_of_time_are_positive(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        EmbedderSettings.model_validate({"embeddings_api_key": "key", name: value})


def test_a_replay_window_is_read_in_seconds_or_as_a_duration() -> None:
    for value in ("7200", "PT2H"):
        settings = EmbedderSettings.model_validate({"embeddings_api_key": "key", "replay_window": value})
        assert settings.replay_window == timedelta(hours=2)
