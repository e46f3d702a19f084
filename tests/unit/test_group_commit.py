"""One write for all who ask at the same time."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.ingest.group_commit import Amount, GroupCommit
from memstream.runtime.errors import MemstreamError, Overloaded, Unavailable

Commits = GroupCommit[str, str]


class Store:
    """Keeps what is written, holds a write up until it is opened, and fails on demand."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.writes: list[list[str]] = []
        self.gate = asyncio.Event()
        self.error: BaseException | None = None
        if is_open:
            self.gate.set()

    async def write(self, items: Sequence[str]) -> Sequence[str]:
        """Give each item in capitals."""
        self.writes.append(list(items))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [item.upper() for item in items]


async def started(*commits: asyncio.Task[Sequence[str]]) -> None:
    """Let the tasks come as far as they can."""
    for _ in range(len(commits) + 3):
        await asyncio.sleep(0)


PLENTY = 10**6


def make(
    store: Store, *, most: int = 100, waiting: int = 1000, most_size: int = PLENTY, waiting_size: int = PLENTY
) -> Commits:
    """Make the group commit over a store; an item's size is its length."""
    # Half of what may wait is for one tenant.
    held = Amount(2 * waiting, 2 * waiting_size)
    return GroupCommit(store.write, len, limit=Amount(most, most_size), waiting_limit=held)


async def test_what_fails_of_a_write_fails_for_its_callers_alone() -> None:
    down = Unavailable("Redis", "one node is down")

    async def write(items: Sequence[str]) -> Sequence[str | MemstreamError]:
        return [down if item == "lost" else item.upper() for item in items]

    commits: Commits = GroupCommit(write, len, limit=Amount(100, PLENTY), waiting_limit=Amount(1000, PLENTY))
    tasks = [asyncio.create_task(commits.commit(items, "a")) for items in (["a"], ["b", "lost"], ["c"])]

    assert await asyncio.gather(*tasks, return_exceptions=True) == [["A"], down, ["C"]]


async def test_a_single_caller_does_not_wait_for_others() -> None:
    store = Store()

    assert await make(store).commit(["a", "b"], "a") == ["A", "B"]
    assert store.writes == [["a", "b"]]


async def test_who_comes_during_a_write_shares_the_next_one() -> None:
    store = Store(is_open=False)
    commits = make(store)
    first = asyncio.create_task(commits.commit(["a"], "a"))
    await started(first)
    rest = [asyncio.create_task(commits.commit([name, name], "a")) for name in "bcd"]
    await started(*rest)
    assert store.writes == [["a"]]
    store.gate.set()

    assert [await task for task in (first, *rest)] == [["A"], ["B", "B"], ["C", "C"], ["D", "D"]]
    assert store.writes == [["a"], ["b", "b", "c", "c", "d", "d"]]


async def test_a_write_holds_no_more_than_it_may() -> None:
    store = Store()
    commits = make(store, most=3)
    await asyncio.gather(*(commits.commit([name, name], "a") for name in "abc"))

    assert store.writes == [["a", "a"], ["b", "b"], ["c", "c"]]


async def test_a_write_holds_no_more_bytes_than_it_may() -> None:
    store = Store()
    commits = make(store, most_size=5)
    await asyncio.gather(*(commits.commit(part, "a") for part in (["aa"], ["bb"], ["cc"], ["dddddd"], ["e"])))

    assert store.writes == [["aa", "bb"], ["cc"], ["dddddd"], ["e"]]


async def test_a_callers_items_are_never_divided() -> None:
    store = Store()

    assert await make(store, most=3).commit(list("abcdefgh"), "a") == list("ABCDEFGH")
    assert store.writes == [list("abcdefgh")]


@given(
    st.lists(st.lists(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=5), max_size=12),
    st.integers(1, 9),
    st.integers(1, 15),
)
async def test_everybody_gets_the_results_of_their_own_items_in_order(
    parts: list[list[str]], most: int, most_size: int
) -> None:
    store = Store()
    commits = make(store, most=most, most_size=most_size)
    results = await asyncio.gather(*(commits.commit(part, "a") for part in parts))

    assert results == [[item.upper() for item in part] for part in parts]
    assert [item for write in store.writes for item in write] == [item for part in parts for item in part]
    for write in store.writes:
        assert (len(write) <= most and len("".join(write)) <= most_size) or write in parts


async def test_an_error_reaches_all_who_took_part() -> None:
    store = Store(is_open=False)
    store.error = Unavailable("Redis", "gone")
    commits = make(store)
    tasks = [asyncio.create_task(commits.commit([name], "a")) for name in "abc"]
    await started(*tasks)
    store.gate.set()

    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert errors == [store.error] * 3


async def test_an_error_spoils_only_its_own_write() -> None:
    store = Store()
    store.error = Unavailable("Redis", "gone")
    commits = make(store)
    with pytest.raises(Unavailable):
        await commits.commit(["a"], "a")
    store.error = None

    assert await commits.commit(["b"], "a") == ["B"]


async def test_too_many_waiting_items_are_refused() -> None:
    store = Store(is_open=False)
    commits = make(store, waiting=3)
    tasks = [asyncio.create_task(commits.commit([name], "a")) for name in "abc"]
    await started(*tasks)
    with pytest.raises(Overloaded, match="3 messages wait to be written"):
        await commits.commit(["d"], "a")
    store.gate.set()

    assert await asyncio.gather(*tasks) == [["A"], ["B"], ["C"]]
    assert await commits.commit(["d"], "a") == ["D"]


async def test_too_many_waiting_bytes_are_refused_until_they_are_written() -> None:
    store = Store(is_open=False)
    commits = make(store, waiting_size=5)
    tasks = [asyncio.create_task(commits.commit([name], "a")) for name in ("aa", "bb")]
    await started(*tasks)
    with pytest.raises(Overloaded, match="2 messages wait to be written"):
        await commits.commit(["cc"], "a")
    last = asyncio.create_task(commits.commit(["c"], "a"))
    store.gate.set()

    assert [await task for task in (*tasks, last)] == [["AA"], ["BB"], ["C"]]
    assert await commits.commit(["dddddd"], "a") == ["DDDDDD"]


async def test_one_large_caller_is_taken_when_nobody_waits() -> None:
    assert await make(Store(), waiting=2).commit(list("abc"), "a") == list("ABC")


async def test_room_is_given_back_after_an_error() -> None:
    store = Store()
    store.error = Unavailable("Redis", "gone")
    commits = make(store, waiting=1)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await commits.commit(["a"], "a")


async def test_the_items_of_a_cancelled_caller_are_written_all_the_same() -> None:
    store = Store(is_open=False)
    commits = make(store)
    first, given_up, last = (asyncio.create_task(commits.commit([name], "a")) for name in "abc")
    await started(first, given_up, last)
    given_up.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await given_up
    store.gate.set()

    assert [await first, await last] == [["A"], ["C"]]
    assert [item for write in store.writes for item in write] == ["a", "b", "c"]


async def test_an_error_for_a_cancelled_caller_reaches_the_others() -> None:
    store = Store(is_open=False)
    commits = make(store)
    given_up, other = (asyncio.create_task(commits.commit([name], "a")) for name in "ab")
    await started(given_up, other)
    given_up.cancel()
    store.error = Unavailable("Redis", "gone")
    store.gate.set()

    with pytest.raises(Unavailable):
        await other


async def test_many_batches_of_a_tenant_delay_anothers_message_by_one_write() -> None:
    store = Store(is_open=False)
    commits = make(store, most=4)
    hostile = [asyncio.create_task(commits.commit([name] * 4, "hostile")) for name in "abcdef"]
    await started(*hostile)
    calm = asyncio.create_task(commits.commit(["x"], "calm"))
    await started(calm)
    store.gate.set()
    await asyncio.gather(calm, *hostile)

    assert [any(item == "x" for item in write) for write in store.writes].index(True) <= 2
    written = [write[0] for write in store.writes if "x" not in write]
    assert written == sorted(written)


async def test_what_waits_of_one_tenant_keeps_no_other_out() -> None:
    store = Store(is_open=False)
    commits = make(store, waiting=3)
    hostile = [asyncio.create_task(commits.commit([name], "hostile")) for name in "abc"]
    await started(*hostile)
    with pytest.raises(Overloaded, match="3 messages wait to be written"):
        await commits.commit(["d"], "hostile")
    calm = asyncio.create_task(commits.commit(["x"], "calm"))
    store.gate.set()

    assert await calm == ["X"]
    assert await asyncio.gather(*hostile) == [["A"], ["B"], ["C"]]
    assert await commits.commit(["d"], "hostile") == ["D"]


async def test_several_tenants_hold_no_more_than_may_wait() -> None:
    store = Store(is_open=False)
    commits = make(store, waiting=3)
    held = [asyncio.create_task(commits.commit(["x"], tenant)) for tenant in "abcdef"]
    await started(*held)
    with pytest.raises(Overloaded, match="6 messages wait to be written"):
        await commits.commit(["x"], "g")
    store.gate.set()

    assert await asyncio.gather(*held) == [["X"]] * 6
