"""Everyday questions that the services answer as anybody would expect: alone, and among other messages.

All cases, in more surroundings, are asked by `python -m benchmarks.quality.everyday`, which also counts what fails.
"""

import json

import pytest
import pytest_asyncio
from exchanges import answered, post_lines, search
from running_stack import RunningStack

from benchmarks.quality.everyday.cases import read_cases
from benchmarks.quality.everyday.surroundings import AMID, APART, NOTES, PlacedCase, place_all
from benchmarks.quality.everyday.verdicts import judge
from memstream.contracts.searches import SearchOut

HELD = (
    *("change/phone-now", "change/diet-now", "exact/lookup-3", "exact/amounts-2", "forms/verbs-1"),
    *("languages/de-1", "languages/ru-2", "languages/hi-1", "never/home-6", "never/talk-3", "note/anniversary"),
    *("note/ferry-time", "role/explained", "short/when", "speaker/sister", "spelling/typos-4", "spelling/spellings-1"),
    "time/concert-1",
)
"""Cases whose order and relevance hold with room to spare."""
PLACED = [
    one
    for one in place_all([case for case in read_cases() if case.label in HELD], [0, 20], [NOTES, APART, AMID], seed=1)
    # Alone, and in one of the other surroundings each.
    if (one.size, one.shape) == (20, AMID) or (not one.size and one.shape == APART)
]


@pytest_asyncio.fixture(scope="session")
async def positions(stack: RunningStack) -> list[str]:
    """Post all cases at once, and give the positions of their messages."""
    lines = [json.dumps(message).encode() for one in PLACED for message in one.messages]
    sent = answered(await post_lines(stack.ingest, b"\n".join(lines), lane="bulk"), 200)
    return [result["position"] for result in sent["results"]]


@pytest.mark.parametrize("placed", PLACED, ids=lambda one: f"{one.case.label} among {one.size}")
async def test_it_is_found(stack: RunningStack, positions: list[str], placed: PlacedCase) -> None:
    fields = {name: value for name, value in placed.query.items() if name == "as_of"}

    answer = await search(stack.retriever, placed.user_id, placed.case.ask, wait_for=positions, **fields)

    assert judge(placed, SearchOut.model_validate(answer).hits).complaints == ()
