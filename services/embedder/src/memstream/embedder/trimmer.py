"""Trimming: entries that every group is done with leave the streams after the replay window."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis.exceptions

from memstream.contracts import keys
from memstream.contracts.keys import Lane
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.retention import GroupProgress, GroupsMissing, TrimBefore, decide
from memstream.embedder.streams import SourceStream
from memstream.streams.connections import Redis, decoded, redis_faults

_log = logging.getLogger(__name__)

DECLARED_GROUPS: tuple[str, ...] = (keys.GROUP,)
"""Every group that reads the streams. One that isn't listed may lose entries before it has read them."""

_ENTRIES_PER_TRIM = 10_000
"""Entries that a call removes at most. The server's own limit is a hundred of its blocks, which may have one each."""


@dataclass(frozen=True, slots=True)
class _State:
    """A stream at one moment, by the server's clock."""

    now_ms: int
    length: int
    groups: dict[str, GroupProgress]


@dataclass(slots=True)
class _Lane:
    """The state of a lane, over all partitions."""

    entries: int = 0
    oldest_ms: int = 0


class StreamTrimmer:
    """Trims the source streams. Any number of workers may do so at once; dead letters are never touched.

    The state it read may be out of date when the trim arrives. That does no harm: entries are only delivered and
    acknowledged meanwhile, so it can only trim too little.
    """

    def __init__(
        self,
        client: Redis,
        sources: Sequence[SourceStream],
        *,
        window: float,
        metrics: EmbedderMetrics,
        groups: Sequence[str] = DECLARED_GROUPS,
    ) -> None:
        self._client = client
        self._sources = sources
        self._window_ms = int(window * 1000)
        self._metrics = metrics
        self._groups = tuple(groups)
        self._logged: dict[str, GroupsMissing] = {}

    async def trim(self) -> None:
        """Trim every stream once, and measure what is left.

        A stream that lacks a declared group is left as it is, and the log says so once.

        Raises:
            Unavailable: Redis is out of reach.

        """
        lanes: defaultdict[Lane, _Lane] = defaultdict(_Lane)
        for source in self._sources:
            with redis_faults():
                state = await self._read(source.name)
                oldest_ms = await self._oldest(source.name, state)
                trimmed = await self._trim(source, state)
            lane = lanes[source.lane]
            lane.entries += state.length - trimmed
            lane.oldest_ms = max(lane.oldest_ms, oldest_ms)
        for name, lane in lanes.items():
            self._metrics.stream_entries.labels(lane=name).set(lane.entries)
            self._metrics.oldest_unacknowledged.labels(lane=name).set(lane.oldest_ms / 1000)

    async def _trim(self, source: SourceStream, state: _State) -> int:
        decision = decide(self._groups, state.groups, now_ms=state.now_ms, window_ms=self._window_ms)
        match decision:
            case GroupsMissing():
                self._report_missing(source.name, decision)
                return 0
            case TrimBefore((milliseconds, sequence)):
                self._logged.pop(source.name, None)
                trimmed = await self._trim_before(source.name, f"{milliseconds}-{sequence}")
                self._metrics.trimmed.labels(lane=source.lane).inc(trimmed)
                return trimmed

    async def _trim_before(self, stream: str, entry_id: str) -> int:
        """Trim in steps, so that the server is not held up; it says how many entries went."""
        total = 0
        while trimmed := int(
            await self._client.xtrim(stream, minid=entry_id, approximate=True, limit=_ENTRIES_PER_TRIM)
        ):
            total += trimmed
        return total

    def _report_missing(self, stream: str, groups: GroupsMissing) -> None:
        self._metrics.trim_refusals.inc()
        if self._logged.get(stream) != groups:
            _log.error("%s is not trimmed, and grows: it lacks the group %s", stream, ", ".join(groups.missing))
        self._logged[stream] = groups

    async def _read(self, stream: str) -> _State:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.time()
            pipe.xlen(stream)
            pipe.xinfo_groups(stream)
            for group in self._groups:
                pipe.xpending(stream, group)
            # Where a group or a stream is missing, the answer is an error.
            (seconds, microseconds), length, groups, *pending = await pipe.execute(raise_on_error=False)
        delivered = {group["name"]: decoded(group["last-delivered-id"]) for group in _unless_missing(groups) or []}
        progress = {}
        for group, answer in zip(self._groups, pending, strict=True):
            summary = _unless_missing(answer)
            if summary is not None:
                oldest = keys.entry_order(decoded(summary["min"])) if summary["pending"] else None
                progress[group] = GroupProgress(keys.entry_order(delivered[group.encode()]), oldest)
        return _State(seconds * 1000 + microseconds // 1000, int(_answered(length)), progress)

    async def _oldest(self, stream: str, state: _State) -> int:
        """Return the age in milliseconds of the oldest entry that a group has not acknowledged; 0 if there is none."""
        appended = [group.oldest_pending[0] for group in state.groups.values() if group.oldest_pending]
        async with self._client.pipeline(transaction=False) as pipe:
            for group in state.groups.values():
                pipe.xrange(stream, min=f"({group.delivered[0]}-{group.delivered[1]}", count=1)
            answers: list[Any] = await pipe.execute() if state.groups else []
        appended += [keys.entry_order(decoded(entries[0][0]))[0] for entries in answers if entries]
        return max((max(0, state.now_ms - milliseconds) for milliseconds in appended), default=0)


def _answered(answer: Any) -> Any:  # noqa: ANN401 - any answer of the server
    if isinstance(answer, Exception):
        raise answer
    return answer


def _unless_missing(answer: Any) -> Any:  # noqa: ANN401 - any answer of the server
    """Return the answer, or None where the stream or the group does not exist."""
    if isinstance(answer, redis.exceptions.ResponseError) and str(answer).startswith(("NOGROUP", "no such key")):
        return None
    return _answered(answer)
