"""Response bodies of posted messages: the JSON of `Accepted` and `BatchOut`, without building the models. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from memstream.contracts.messages import LineError


class AppendResult(NamedTuple):
    """A message that is on the stream durably."""

    message_id: str
    position: str
    duplicate: bool
    deleted: bool


Outcome = AppendResult | LineError
"""The outcome for a message of a batch."""


def accepted(taken: AppendResult) -> bytes:
    """Return the body for one message."""
    return to_json(taken._asdict())


def batch(outcomes: Sequence[Outcome]) -> bytes:
    """Return the body for a batch, in the order of the request. What has no value is missing."""
    results: list[dict[str, Any]] = []
    duplicates = rejected = 0
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, LineError):
            rejected += 1
            results.append({"index": index, "error": outcome})
            continue
        message_id, position, duplicate, deleted = outcome
        duplicates += duplicate
        results.append(
            {
                "message_id": message_id,
                "position": position,
                "duplicate": duplicate,
                "deleted": deleted,
                "index": index,
            }
        )
    counts = {"accepted": len(results) - duplicates - rejected, "duplicates": duplicates, "rejected": rejected}
    return to_json({**counts, "results": results}, exclude_none=True)


def retry_after(outcomes: Sequence[Outcome]) -> int | None:
    """Return the seconds after which to send those lines again that were over a limit; None if there are none."""
    waits = [one.retry_after for one in outcomes if isinstance(one, LineError) and one.retry_after is not None]
    return max(waits, default=None)
