"""Which entries are begun at once, and which wait for room."""

from collections.abc import Sequence

from prometheus_client import Gauge
from unit.examples import entry, recorded, seeded
from unit.manual_clock import ManualClock

from memstream.contracts.keys import Lane
from memstream.embedder.dependencies import DependencyFaults
from memstream.embedder.held_entries import HeldEntries
from memstream.embedder.intake import Intake
from memstream.embedder.jobs import DecodedEntry, Delivery
from memstream.embedder.parked_entries import ParkedEntries
from memstream.embedder.pending_list import PendingList
from memstream.embedder.retries import Retrier
from memstream.runtime.backoff import Backoff
from memstream.streams.connections import connect

ROOM, READ = 64, 4


class Site:
    """An intake with room for some entries, and what it has begun."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.begun: list[Delivery] = []
        self.numbers = 0
        held = HeldEntries(ROOM, ROOM * 1000, Gauge("held", "Entries.", registry=None))
        retrying = Retrier(DependencyFaults(), self.clock, seeded(), Backoff(), lambda: None)
        # Nothing is asked of the list before something is taken up.
        pending = PendingList(connect("redis://127.0.0.1:1/0"), "here")
        self.intake = Intake(held, ParkedEntries(1000), pending, retrying, self.clock, read_entries=READ)

    async def offer(self, number: int, lane: Lane = "live") -> Sequence[Delivery]:
        """Offer so many entries that were read at once; give those that are begun."""
        before = len(self.begun)
        first, self.numbers = self.numbers, self.numbers + number
        data = recorded().model_dump_json().encode()
        await self.intake.offer([entry(data, lane=lane, entry_id=f"{first + n}-0") for n in range(number)], self._begin)
        return self.begun[before:]

    async def _begin(self, one: DecodedEntry) -> None:
        self.begun.append(one.delivery)


async def test_while_there_is_more_to_read_little_of_the_room_is_used() -> None:
    site = Site()

    assert sum([len(await site.offer(READ)) for _ in range(10)]) == ROOM / 8


async def test_a_stream_that_has_fallen_silent_leaves_the_room_to_the_others() -> None:
    site = Site()
    # By chance, the last read of an import returned as much as a read may.
    site.intake.release(await site.offer(READ, lane="bulk"))
    site.clock.advance(60)

    assert sum([len(await site.offer(READ - 1)) for _ in range(10)]) == 10 * (READ - 1)
