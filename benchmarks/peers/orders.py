"""A contender's side: carries out the orders that it reads, one JSON line each, and answers each with one line.

Only the standard library is imported here: a contender runs in an environment of its own.
"""

import json
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Protocol

Message = dict[str, Any]
"""A message as a device posts it: with user_id, message_id and text at least."""


class Memory(Protocol):
    """What is compared. Calls return when the work is done."""

    def add(self, messages: Sequence[Message]) -> None:
        """Store messages; when this returns, a search finds them."""

    def search(self, user_id: str, question: str, limit: int) -> Any:  # noqa: ANN401 - as the library returns it
        """Return a user's messages for a question, the best first, as the library does."""

    def ids(self, answer: Any) -> list[str]:  # noqa: ANN401 - what `search` returned
        """Return the ids of an answer's messages, in order."""


def carry_out(memory: Memory, *packages: str) -> None:
    """Carry out orders until there are no more; say at first which versions of packages these are about.

    An order has either `messages` to add, or `questions`, pairs of user and question, and the `limit` of hits.
    """
    print(json.dumps({"versions": {name: version(name) for name in packages}}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        answer = _add(memory, order["messages"]) if "messages" in order else _search(memory, order)
        print(json.dumps(answer), flush=True)


def _add(memory: Memory, messages: Sequence[Message]) -> dict[str, Any]:
    started = time.perf_counter()
    memory.add(messages)
    return {"seconds": time.perf_counter() - started}


def _search(memory: Memory, order: dict[str, Any]) -> dict[str, Any]:
    seconds, found = [], []
    for user_id, question in order["questions"]:
        started = time.perf_counter()
        answer = memory.search(user_id, question, order["limit"])
        seconds.append(time.perf_counter() - started)
        found.append(memory.ids(answer))
    return {"seconds": seconds, "found": found}
