"""What an answer tells of its hits beyond what found them, for all of them in one further round trip."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from qdrant_client import models

from memstream.retriever.candidates.hits import Finding
from memstream.retriever.candidates.surroundings import LOOKUPS, lookups_around, read_around
from memstream.vectors.collection import Collection
from memstream.vectors.lookups import Lookup, Record


async def fill_in(collection: Collection, found: Sequence[tuple[Finding, int]]) -> list[Finding]:
    """Give findings their first chunk, if they need it, and as many turns around them as stands beside each.

    Asks for nothing when there is nothing to ask for.

    Raises:
        Unavailable, GlobalFault, Rejected: Qdrant does not answer.

    """
    firsts = list(_first_lookups([finding for finding, _ in found]))
    around = [lookup for finding, count in found for lookup in _lookups_around(finding, count)]
    if not firsts and not around:
        return [finding for finding, _ in found]
    answers = await collection.look_up([*firsts, *around])
    by_point = {record.id: record.payload for answer in answers[: len(firsts)] for record in answer}
    rest = iter(answers[len(firsts) :])
    return [
        replace(
            _surrounded(finding, count, rest),
            first=by_point.get(finding.first_point) if finding.is_later_chunk else None,
        )
        for finding, count in found
    ]


def _first_lookups(findings: Sequence[Finding]) -> Iterator[Lookup]:
    """Ask for first chunks, once for each owner."""
    points: dict[str, dict[str, None]] = {}
    for finding in findings:
        if finding.is_later_chunk:
            points.setdefault(finding.owner, {})[finding.first_point] = None
    for owner, names in points.items():
        yield Lookup(owner, models.Filter(must=[models.HasIdCondition(has_id=list(names))]), len(names))


def _lookups_around(finding: Finding, count: int) -> list[Lookup]:
    conversation_id = finding.payload.get("conversation_id")
    if count == 0 or conversation_id is None:
        return []
    return lookups_around(finding.owner, conversation_id, finding.place, count)


def _surrounded(finding: Finding, count: int, answers: Iterator[list[Record]]) -> Finding:
    if not _lookups_around(finding, count):
        return finding
    before, after = read_around(finding.place, [next(answers) for _ in range(LOOKUPS)], count)
    return replace(finding, before=[one.payload for one in before], after=[one.payload for one in after])
