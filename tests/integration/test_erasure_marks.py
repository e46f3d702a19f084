"""Whether an entry was appended before its user's erasure: the server's scripts and Python agree on it."""

from typing import Any

from integration.worksite import Worksite
from unit.examples import seeded

from memstream.contracts import keys
from memstream.streams.stream_scripts import ERASURE_MARKS

_ASK = (
    ERASURE_MARKS
    + """
local answer = {}
for i = 1, #ARGV, 2 do answer[#answer + 1] = was_before(ARGV[i], ARGV[i + 1]) and 1 or 0 end
return answer
"""
)

# Near each other, of different length, and beyond what the server's numbers hold exactly.
_NUMBERS = [0, 1, 2, 9, 10, 11, 1_700_000_000_000, 1_700_000_000_001, 2**53, 2**53 + 1, 2**64 - 2, 2**64 - 1]


async def test_the_server_decides_like_python(site: Worksite) -> None:
    chance = seeded()
    cases = [
        (f"{at}-{chance.choice(_NUMBERS)}", f"{entry}-{chance.choice(_NUMBERS)}")
        for at in _NUMBERS
        for entry in _NUMBERS
        for _ in range(10)
    ]

    answers: Any = await site.redis.eval(_ASK, 0, *(part for case in cases for part in case))

    expected = [keys.was_before(*case) for case in cases]
    assert [bool(answer) for answer in answers] == expected
    assert {True, False} == set(expected)
