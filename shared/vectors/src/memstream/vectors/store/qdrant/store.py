"""The store in Qdrant, through its REST interface."""

import asyncio
import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from memstream.contracts.keys import Position
from memstream.runtime.errors import Unavailable
from memstream.runtime.tls import context_for
from memstream.vectors.server_errors import error_for_unreadable_answer
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import metadata_terms
from memstream.vectors.store.conditions import Conditions, FirstChunk
from memstream.vectors.store.expiry import Expiry, ReadExpiry, Sweepable
from memstream.vectors.store.identity import KeptIdentity
from memstream.vectors.store.memory import DEPENDENCY, MAX_SPEAKERS, Residue
from memstream.vectors.store.messages import EmbeddedChunk, Record, StoredMessage
from memstream.vectors.store.metadata_terms import terms_of, with_terms
from memstream.vectors.store.owners import Owner
from memstream.vectors.store.qdrant import neighbours as around
from memstream.vectors.store.qdrant.collection import Collection, Lookup
from memstream.vectors.store.qdrant.copies import NO_AGREEMENT, SERVERS_CHOICE, Agreement, Copies
from memstream.vectors.store.qdrant.fence import Fence
from memstream.vectors.store.qdrant.filters import deleted, expired, messages_until, of_tenant, owned, until_entry
from memstream.vectors.store.qdrant.identity import CHECK_SECONDS, Identification
from memstream.vectors.store.qdrant.keyword_spaces import ANY_SCRIPT, KeywordSpace
from memstream.vectors.store.qdrant.layout import Layout, ensure_layout, ensure_vector, note_settled, read_layout
from memstream.vectors.store.qdrant.queries import queries_for, read_candidates
from memstream.vectors.store.qdrant.rehearsals import rehearse_reads, rehearse_writes
from memstream.vectors.store.qdrant.timeline import Walk
from memstream.vectors.store.queries import (
    CandidateQuery,
    Candidates,
    FirstChunks,
    Neighbours,
    TimelinePosition,
    Turns,
)
from memstream.vectors.store.versions import NewVersion, Reservation, StoredVersion

_IDENTITY_SECONDS = 1.0
"""A health check waits so long for what is known outside of Qdrant."""


class QdrantStore:
    """A `MemoryStore` in one collection. It connects at the first call."""

    def __init__(  # noqa: PLR0913 - what a connection has, by name
        self,
        space: EmbeddingSpace,
        *,
        url: str,
        api_key: str | None,
        collection: str,
        timeout: float,
        ca_file: Path | None = None,
        connections: int = 32,
        expiry: ReadExpiry,
        keywords: KeywordSpace | None = None,
        copies: Copies = SERVERS_CHOICE,
        agreement: Agreement = NO_AGREEMENT,
        identification: Identification | None = None,
    ) -> None:
        """Make it. `timeout` is in seconds; at most `connections` are open at once.

        A server with TLS is trusted if its certificate comes from an authority in `ca_file`, or one of the system's.

        `expiry` says what no query may find. `keywords` is the collection's keyword space where it is known; None reads
        it, and gives a new collection the newest one. `copies` is what a new collection gets, and `agreement` what its
        copies agree on. With an `identification`, a collection that once was there is not made anew, and not taken for
        another one.
        """
        self._space = space
        self._keywords = keywords
        self._layout = None if keywords is None else Layout(keywords, has_terms=False)
        self._copies = copies
        self._identification = identification
        self._identified_at = -math.inf
        self._expiry = expiry
        self._vector_name = space.vector_name
        self._collection = Collection(
            url=url,
            api_key=api_key,
            name=collection,
            timeout=timeout,
            connections=connections,
            verify=context_for(url, ca_file) or True,
            agreement=agreement,
        )
        self._fence = Fence(self._collection)

    async def ensure(self) -> None:
        """See `MemoryStore`."""
        keywords = self._keywords or ANY_SCRIPT
        self._layout = await ensure_layout(self._collection, self._space, keywords, self._copies, self._identification)
        await rehearse_writes(self._collection)

    async def check(self) -> None:
        """See `MemoryStore`."""
        # Read each time: an operator may have put another collection in its place. Then nothing more is written to it.
        self._identified_at = -math.inf
        kept = None
        # Where the identity is kept may be out of reach, which is not Qdrant's fault.
        with contextlib.suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(_IDENTITY_SECONDS):
                kept = await self._kept_identity()
        self._layout = await read_layout(self._collection, kept)
        await rehearse_reads(self._collection, self._layout, self._vector_name, self._space.dimensions)

    async def _kept_identity(self) -> KeptIdentity | None:
        return None if self._identification is None else await self._identification.keeper.read()

    async def _known_layout(self) -> Layout:
        if self._layout is None:
            self._layout = await read_layout(self._collection, await self._kept_identity())
        return self._layout

    async def _require_same_collection(self) -> None:
        """Raise if what is written would go to another collection than before; looked up every few seconds."""
        if self._identification is None:
            return
        now = self._identification.clock.monotonic()
        if now - self._identified_at > CHECK_SECONDS:
            self._layout = await read_layout(self._collection, await self._kept_identity())
            self._identified_at = now

    async def store(self, chunks: Sequence[EmbeddedChunk]) -> None:
        """See `MemoryStore`."""
        newest = max((chunk.message.entry_ms for chunk in chunks), default=0)
        layout = await self._known_layout()
        await self._collection.upsert([self._point(chunk, layout) for chunk in chunks], newest)

    def _point(self, chunk: EmbeddedChunk, layout: Layout) -> dict[str, Any]:
        message, keywords = chunk.message, layout.keywords
        terms = terms_of(message.metadata) if layout.has_terms else []
        return {
            "id": str(chunk.owner.point_id(message.message_id, message.chunk)),
            "vector": {self._vector_name: chunk.vector, keywords.vector_name: keywords.document(chunk.indexed_text)},
            # Whose it is, is said by the owner alone.
            "payload": message.written()
            | ({metadata_terms.FIELD: terms} if terms else {})
            | {"owner": chunk.owner.name, "tenant": chunk.owner.tenant},
        }

    async def reserve(
        self, reservations: Sequence[Reservation], token: str, now: datetime
    ) -> list[StoredVersion | None]:
        """See `MemoryStore`."""
        if not reservations:
            return []
        await self._require_same_collection()
        return await self._fence.reserve(reservations, token, now)

    async def fill(self, versions: Sequence[NewVersion], token: str) -> list[bool]:
        """See `MemoryStore`."""
        if not versions:
            return []
        layout = await self._known_layout()
        points = [[self._point(chunk, layout) for chunk in one.chunks] for one in versions]
        return await self._fence.fill(versions, points, token)

    async def release(self, reservations: Sequence[Reservation], now: datetime) -> None:
        """See `MemoryStore`."""
        if reservations:
            await self._fence.release(reservations, now)

    async def release_abandoned(self, before: datetime) -> None:
        """See `MemoryStore`."""
        await self._fence.release_abandoned(before)

    async def delete_messages(self, owner: Owner, until: Mapping[str, Position]) -> None:
        """See `MemoryStore`."""
        if until:
            await self._require_same_collection()
            await self._fence.delete(owner, until)

    async def delete_all(self, owner: Owner, until: Position) -> None:
        """See `MemoryStore`."""
        await self._require_same_collection()
        await self._collection.delete(deleted(owner, either=[until_entry(until)]))

    async def count_messages(self, owner: Owner, until: Position) -> int:
        """See `MemoryStore`."""
        return await self._collection.count(messages_until(owner, until))

    async def find_messages(self, owner: Owner, until: Mapping[str, Position]) -> set[str]:
        """See `MemoryStore`."""
        return await self._fence.find(owner, until) if until else set()

    async def note_settled(self, milliseconds: int) -> None:
        """See `MemoryStore`."""
        if self._identification is not None:
            await self._require_same_collection()
            await note_settled(self._collection, milliseconds)

    async def residue(self) -> Residue | None:
        """See `MemoryStore`."""
        return await self._collection.residue()

    async def propose(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        """See `MemoryStore`."""
        layout = await self._known_layout()
        requests = [
            request
            for query in queries
            for request in queries_for(
                replace(query, conditions=_in_terms_of(layout, query.conditions)),
                await self._expiry(query.owner),
                self._vector_name,
                layout.keywords,
            )
        ]
        answers = iter(await self._collection.query(requests))
        try:
            found = [read_candidates(query, answers, self._vector_name) for query in queries]
        except (ValueError, KeyError) as error:
            raise error_for_unreadable_answer(DEPENDENCY, error) from None
        if next(answers, None) is not None:
            raise error_for_unreadable_answer(DEPENDENCY, ValueError("more answers than queries"))
        return found

    async def fetch(
        self, first_chunks: Sequence[FirstChunks], neighbours: Sequence[Neighbours]
    ) -> tuple[list[dict[str, StoredMessage]], list[Turns]]:
        """See `MemoryStore`."""
        lookups = [_first_chunks(asked, await self._expiry(asked.owner)) for asked in first_chunks]
        for asked in neighbours:
            lookups += around.lookups_for(asked, await self._expiry(asked.owner))
        answers = iter(await self._collection.look_up(lookups))
        firsts = [{record.message.message_id: record.message for record in next(answers)} for _ in first_chunks]
        turns = [around.read_turns(asked, [next(answers) for _ in range(around.LOOKUPS)]) for asked in neighbours]
        return firsts, turns

    async def list_from(
        self, owner: Owner, conditions: Conditions, start: TimelinePosition | datetime | None, count: int
    ) -> list[Record]:
        """See `MemoryStore`."""
        wanted = _in_terms_of(await self._known_layout(), conditions)
        walk = Walk(self._collection, owner, await self._expiry(owner), wanted)
        if isinstance(start, TimelinePosition):
            return await walk.after(start, count)
        return await walk.from_time(start, count)

    async def speakers(self, owner: Owner) -> list[str]:
        """See `MemoryStore`."""
        return await self._collection.facet("speaker", owned(owner, await self._expiry(owner)), MAX_SPEAKERS)

    async def project(
        self, owner: Owner, target: EmbeddingSpace, *, after: str | None = None, count: int = 1000
    ) -> str | None:
        """See `MemoryStore`."""
        if target.projection is None or target.provider_dimensions != self._space.dimensions:
            raise ValueError(f"{target.vector_name} is no projection of {self._vector_name}")
        await ensure_vector(self._collection, target)
        # A placeholder has no vector.
        which = owned(owner, await self._expiry(owner), either=[{"has_vector": self._vector_name}])
        points, following = await self._collection.vectors(self._vector_name, which, count, after)
        if points:
            rows = target.project(np.array(list(points.values()), np.float32))
            await self._collection.set_vectors(target.vector_name, dict(zip(points, rows, strict=True)))
        return following

    async def sweep(self, which: Sweepable, count: int) -> int:
        """See `MemoryStore`."""
        points = await self._collection.ids(expired(which), count)
        if points:
            # By the condition as well: a new version of a message may have another end.
            await self._collection.delete(expired(which, points))
        return len(points)

    async def count(self, tenant: str) -> int:
        """See `MemoryStore`."""
        return await self._collection.count(of_tenant(tenant))

    async def aclose(self) -> None:
        """See `MemoryStore`."""
        await self._collection.aclose()


def _in_terms_of(layout: Layout, conditions: Conditions) -> Conditions:
    return with_terms(conditions) if layout.has_terms else conditions


def _first_chunks(asked: FirstChunks, expiry: Expiry) -> Lookup:
    points = [str(asked.owner.point_id(message_id, 0)) for message_id in asked.message_ids]
    # A placeholder has its id, and is no chunk.
    return Lookup(owned(asked.owner, expiry, (FirstChunk(),), either=[{"has_id": points}]), len(points))
