"""What an answer shows of its hits beyond what found them: asked for once, and counted for each hit."""

from collections.abc import Sequence
from typing import Any

import pytest
from unit.stored import ANA, stored

from memstream.retriever.candidates import SearchHit, add_details
from memstream.retriever.ranking import RankedMessage
from memstream.runtime.errors import Invalid
from memstream.vectors.store import FirstChunks, Neighbours, StoredMessage, Turns

WHOLE = "The whole text. " * 100


class _Store:
    """Has the whole text of each message, and one turn around it; keeps what it was asked."""

    def __init__(self) -> None:
        self.chunks: list[FirstChunks] = []
        self.neighbours: list[Neighbours] = []

    async def fetch(
        self, first_chunks: Sequence[FirstChunks], neighbours: Sequence[Neighbours]
    ) -> tuple[list[dict[str, StoredMessage]], list[Turns]]:
        self.chunks += first_chunks
        self.neighbours += neighbours
        return (
            [{name: stored(name, full_text=WHOLE) for name in one.message_ids} for one in first_chunks],
            [Turns([stored("before", "Before it.")]) for _ in neighbours],
        )


def hit(message_id: str) -> SearchHit:
    """Return a hit that is a part of a longer message."""
    message = stored(message_id, "A part.", chunks=3, conversation_id="c")
    return SearchHit(ANA, RankedMessage(message_id, message, {}, 1.0))


async def test_what_several_searches_find_is_asked_for_once_and_shown_with_each() -> None:
    store: Any = _Store()
    found = [(hit(name), count) for _ in range(100) for name, count in (("a", 1), ("b", 0))]

    detailed = await add_details(store, found, 10**9)

    assert store.chunks == [FirstChunks(ANA, ("a", "b"))]
    assert len(store.neighbours) == 1
    assert [one.as_answer().text for one in detailed] == [WHOLE] * 200
    assert [len(one.turns.before) for one in detailed] == [1, 0] * 100


async def test_a_text_counts_as_often_as_an_answer_shows_it() -> None:
    store: Any = _Store()
    found = [(hit("a"), 0)] * 100

    assert len(await add_details(store, found, 100 * len(WHOLE))) == 100
    with pytest.raises(Invalid, match="more than"):
        await add_details(store, found, 100 * len(WHOLE) - 1)
