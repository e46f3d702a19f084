"""Writes everyday cases as a judged set, in the shape that `benchmarks.quality` reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.quality.everyday.surroundings import PlacedCase, messages_of


def write_set(placed: Sequence[PlacedCase], folder: Path) -> None:
    """Write `messages.jsonl` and `questions.jsonl`. A question's category is its axis.

    Cases that depend on the time at which they are asked are left out.
    """
    timeless = [one for one in placed if one.case.as_of is None]
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "messages.jsonl", list(messages_of(timeless)))
    _write(folder / "questions.jsonl", [_question(one) for one in timeless])


def _question(one: PlacedCase) -> dict[str, Any]:
    return {
        "user_id": one.user_id,
        "question": one.case.ask,
        "category": one.case.axis,
        "evidence": sorted(one.ids[place] for place in one.case.first),
    }


def _write(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
