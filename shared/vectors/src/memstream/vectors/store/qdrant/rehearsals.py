"""Requests of all kinds, for nobody's messages: what Qdrant refuses of them, it refuses of everybody's."""

import asyncio
from datetime import UTC, datetime

import numpy as np

from memstream.contracts.keys import Position
from memstream.vectors.store.conditions import At, Condition, FirstChunk, OneOf, Within
from memstream.vectors.store.expiry import EndedBy, Expiry, RecordedBefore
from memstream.vectors.store.messages import KEYWORDS
from memstream.vectors.store.metadata_terms import FIELD
from memstream.vectors.store.owners import owner_of
from memstream.vectors.store.qdrant.collection import Collection, Lookup
from memstream.vectors.store.qdrant.fence import RESERVED_MS
from memstream.vectors.store.qdrant.filters import deleted, expired, messages_until, of_tenant, owned, until_entry
from memstream.vectors.store.qdrant.layout import Layout
from memstream.vectors.store.qdrant.queries import queries_for
from memstream.vectors.store.queries import CandidateQuery

_NOBODY = owner_of("", "")
"""No tenant has this name, and no user."""
_POINT = str(_NOBODY.point_id("", 0))
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_LIMIT = 200
"""Of points: what a search with the default settings asks for."""


async def rehearse_reads(collection: Collection, layout: Layout, vector_name: str, dimensions: int) -> None:
    """Raise what a search, a list or a count of messages would raise."""
    fields = [OneOf(name, ("x",)) for name in KEYWORDS] + ([OneOf(FIELD, ("x",))] if layout.has_terms else [])
    times = [step(name) for name in ("occurred_at", "recorded_at") for step in (_within, _at)]
    conditions: list[Condition] = [FirstChunk(), *fields, *times]
    expiry = Expiry(_LONG_AGO, _LONG_AGO)
    vector = np.full(dimensions, 1 / np.sqrt(dimensions), np.float32)
    question = CandidateQuery(_NOBODY, vector, "nobody", _LIMIT, conditions)
    which = owned(_NOBODY, expiry, conditions)
    await asyncio.gather(
        collection.query(list(queries_for(question, expiry, vector_name, layout.keywords))),
        collection.look_up([Lookup(which, 1, name, _LONG_AGO) for name in ("occurred_at", "recorded_at")]),
        collection.facet("speaker", which, 1),
    )


async def rehearse_writes(collection: Collection) -> None:
    """Raise what storing or deleting messages would raise, and the counts and sweeps that go with it."""
    until = Position(0, "live", "0-1")
    either = [until_entry(until)]
    made = {"must": [{"key": RESERVED_MS, "range": {"lt": 0}}, {"has_id": [_POINT]}]}
    unwritten = {"points": [{"id": _POINT, "vector": {}, "payload": {}}], "update_mode": "update_only"}
    await collection.update(
        [
            {"set_payload": {"payload": {"reserved": ""}, "filter": {"must": [{"has_id": [_POINT]}]}}},
            {"upsert": unwritten},
            {"delete": {"filter": deleted(_NOBODY, either=either).json}},
            {"delete": {"filter": made}},
        ]
    )
    for which in (EndedBy(_LONG_AGO), RecordedBefore(_LONG_AGO, (_NOBODY.name,), others=False)):
        await collection.ids(expired(which, [_POINT]), 1)
    await collection.count(of_tenant(_NOBODY.name))
    await collection.count(messages_until(_NOBODY, until))


def _within(name: str) -> Within:
    return Within(name, _LONG_AGO, _LONG_AGO)


def _at(name: str) -> At:
    return At(name, _LONG_AGO)
