"""How a contender of benchmarks.peers carries out its orders."""

import io
import json
import sys
from collections.abc import Sequence

import pytest

from benchmarks.peers.orders import Message, carry_out


class Shelf:
    """A memory that finds the messages that have the question's first word, in their order."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def add(self, messages: Sequence[Message]) -> None:
        """See `Memory`."""
        self.messages += messages

    def search(self, user_id: str, question: str, limit: int) -> list[Message]:
        """See `Memory`."""
        word = question.split(maxsplit=1)[0]
        return [one for one in self.messages if one["user_id"] == user_id and word in one["text"].split()][:limit]

    def ids(self, answer: list[Message]) -> list[str]:
        """See `Memory`."""
        return [one["message_id"] for one in answer]


def test_each_order_is_answered_by_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ("the lamp is on", "the lamp is off", "the door is open")
    messages = [{"user_id": "ana", "message_id": str(n), "text": text} for n, text in enumerate(texts)]
    orders = [
        {"messages": messages},
        {"questions": [("ana", "lamp ?"), ("ana", "door ?"), ("ben", "door ?")], "limit": 2},
        {"questions": [("ana", "lamp ?")], "limit": 1},
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(json.dumps(order) + "\n" for order in orders)))

    carry_out(Shelf(), "pytest")

    versions, added, first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert versions == {"versions": {"pytest": pytest.__version__}}
    assert added["seconds"] > 0
    assert first["found"] == [["0", "1"], ["2"], []]
    assert len(first["seconds"]) == 3
    assert second["found"] == [["0"]]
