"""Requests to delete: in order per owner, a few owners at once, and tenants in turns."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.examples import entry
from unit.manual_clock import START
from waiting import PATIENCE

from memstream.contracts.events import MessageDeleted
from memstream.embedder.deletion_queue import REQUESTS_AT_ONCE, DeletionQueue
from memstream.embedder.jobs import DeletionRequest


def request(user: str, number: int, tenant: str = "acme") -> DeletionRequest:
    """Make the so-manieth request of a user."""
    event = MessageDeleted(
        tenant=tenant, user_id=user, message_id=f"m-{number}", erasure_id=f"{user}-{number}", deleted_at=START
    )
    return DeletionRequest(entry(b"", entry_id=f"{number}-0"), event)


class Store:
    """Carries requests out, each call in so many turns of the loop, and keeps a record."""

    def __init__(self, turns: Sequence[int] = (0,)) -> None:
        self.done: dict[str, list[str]] = {}
        self.calls = 0
        self.most_at_once = 0
        self.is_open = asyncio.Event()
        self.is_open.set()
        self._turns = turns
        self._busy: set[str] = set()

    async def carry_out(self, requests: Sequence[DeletionRequest]) -> None:
        """Note the requests, which are one owner's, once they are done."""
        (owner,) = {one.owner.name for one in requests}
        with self._alone(owner):
            for _ in range(self._turns[self.calls % len(self._turns)]):
                await asyncio.sleep(0)
            self.calls += 1
            await self.is_open.wait()
            self.done.setdefault(owner, []).extend(one.event.erasure_id for one in requests)

    @contextmanager
    def _alone(self, owner: str) -> Iterator[None]:
        assert owner not in self._busy
        self._busy.add(owner)
        self.most_at_once = max(self.most_at_once, len(self._busy))
        yield
        self._busy.discard(owner)


@given(
    st.lists(st.integers(0, 6), max_size=60),
    st.lists(st.integers(0, 4), min_size=1, max_size=10),
    st.integers(1, 4),
)
@settings(max_examples=60)
async def test_each_owners_requests_are_carried_out_once_and_in_order(
    users: list[int], turns: list[int], at_once: int
) -> None:
    store = Store(turns)
    queue = DeletionQueue(store.carry_out, owners_at_once=at_once)
    running = asyncio.create_task(queue.run())
    added: dict[str, list[str]] = {}
    for number, user in enumerate(users):
        one = request(f"user {user}", number)
        queue.add(one)
        await asyncio.sleep(0)
        added.setdefault(one.owner.name, []).append(one.event.erasure_id)
    queue.close()
    await asyncio.wait_for(running, PATIENCE)

    assert store.done == added
    assert store.most_at_once <= at_once


async def test_an_owner_with_many_requests_does_not_keep_the_others_waiting() -> None:
    store = Store()
    queue = DeletionQueue(store.carry_out, owners_at_once=1)
    for number in range(3 * REQUESTS_AT_ONCE):
        queue.add(request("ana", number))
    queue.add(request("bo", 0))
    queue.close()
    await asyncio.wait_for(queue.run(), PATIENCE)

    assert list(store.done) == ["acme/ana", "acme/bo"]
    assert store.calls == 4


async def test_a_tenant_with_many_owners_keeps_another_waiting_for_one_call_at_most() -> None:
    store = Store()
    queue = DeletionQueue(store.carry_out, owners_at_once=1)
    for number in range(1000):
        queue.add(request(f"user {number}", 0))
    queue.add(request("bo", 0, tenant="other"))
    queue.close()
    await asyncio.wait_for(queue.run(), PATIENCE)

    assert list(store.done).index("other/bo") == 1


async def test_deletions_that_take_for_ever_leave_a_place_to_other_tenants() -> None:
    store, done = Store(), asyncio.Event()

    async def carry_out(requests: Sequence[DeletionRequest]) -> None:
        if requests[0].tenant == "other":
            done.set()
        else:
            await store.carry_out(requests)

    store.is_open.clear()
    queue = DeletionQueue(carry_out)
    running = asyncio.create_task(queue.run())
    for number in range(100):
        queue.add(request(f"user {number}", 0))
    await asyncio.sleep(0)
    queue.add(request("bo", 0, tenant="other"))
    await asyncio.wait_for(done.wait(), PATIENCE)

    assert store.done == {}
    store.is_open.set()
    queue.close()
    await asyncio.wait_for(running, PATIENCE)
    assert len(store.done) == 100


async def test_cancelled_it_leaves_the_rest() -> None:
    store = Store()
    store.is_open.clear()
    queue = DeletionQueue(store.carry_out)
    running = asyncio.create_task(queue.run())
    queue.add(request("ana", 0))
    await asyncio.sleep(0)
    queue.close()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert store.done == {}
