"""The speakers of each owner's messages, cached for a short time."""

import asyncio

import pytest
from unit.manual_clock import ManualClock

from memstream.retriever.asking import KnownSpeakers
from memstream.vectors.store import Owner, owner_of

pytestmark = pytest.mark.asyncio

ANA, BEN, CEM = (owner_of("acme", name) for name in ("ana", "ben", "cem"))


class Registry:
    """Speakers by owner, and how often they were looked up."""

    def __init__(self) -> None:
        self.speakers: dict[Owner, list[str]] = {}
        self.lookups = 0
        self.under_way = 0
        self.most_under_way = 0

    async def look_up(self, owner: Owner) -> list[str]:
        """Return an owner's speakers."""
        self.lookups += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return self.speakers.get(owner, [])


async def test_speakers_are_looked_up_once_a_minute_for_each_owner() -> None:
    clock, registry = ManualClock(), Registry()
    registry.speakers = {ANA: ["Ann"], BEN: ["Bo"]}
    known = KnownSpeakers(registry.look_up, clock)

    assert [(await known.of([ANA]))[ANA], (await known.of([ANA]))[ANA], (await known.of([BEN]))[BEN]] == [
        {"Ann"},
        {"Ann"},
        {"Bo"},
    ]
    assert registry.lookups == 2

    registry.speakers[ANA] = ["Ann", "Cy"]
    clock.advance(59)
    assert (await known.of([ANA]))[ANA] == {"Ann"}
    clock.advance(2)
    assert (await known.of([ANA]))[ANA] == {"Ann", "Cy"}


async def test_who_has_no_speakers_yet_is_looked_up_again_soon() -> None:
    clock, registry = ManualClock(), Registry()
    known = KnownSpeakers(registry.look_up, clock)

    assert [(await known.of([ANA]))[ANA], (await known.of([ANA]))[ANA]] == [frozenset(), frozenset()]
    assert registry.lookups == 1
    registry.speakers[ANA] = ["Ann"]
    clock.advance(2.1)
    assert (await known.of([ANA]))[ANA] == {"Ann"}


async def test_several_owners_are_looked_up_at_once_and_each_once() -> None:
    clock, registry = ManualClock(), Registry()
    registry.speakers = {ANA: ["Ann"], BEN: ["Bo"]}
    known = KnownSpeakers(registry.look_up, clock)
    await known.of([ANA])

    assert await known.of([ANA, BEN, CEM, BEN]) == {ANA: {"Ann"}, BEN: {"Bo"}, CEM: frozenset()}
    assert (registry.lookups, registry.most_under_way) == (3, 2)
