"""The layout of the collection: its vectors and its indexes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from qdrant_client import models
from qdrant_client.http.exceptions import UnexpectedResponse

from memstream.runtime.errors import GlobalFault
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import metadata_terms
from memstream.vectors.store.identity import KeptIdentity
from memstream.vectors.store.memory import DEPENDENCY
from memstream.vectors.store.messages import INDEXES, Index
from memstream.vectors.store.qdrant.collection import Collection
from memstream.vectors.store.qdrant.copies import SERVERS_CHOICE, Copies
from memstream.vectors.store.qdrant.faults import qdrant_faults
from memstream.vectors.store.qdrant.fence import RESERVED_MS
from memstream.vectors.store.qdrant.identity import SETTLED, Identification, Marks, missing, require_same
from memstream.vectors.store.qdrant.keyword_spaces import KeywordSpace, keyword_space_of

# Qdrant builds HNSW subgraphs per value of an indexed payload field. We want them per owner only; for role or time they
# would cost more than everything else. Qdrant's `is_tenant` means our owner (a tenant's user).
_SCHEMAS: Mapping[Index, models.PayloadSchemaParams] = {
    Index.OWNER: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    Index.KEYWORD: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, enable_hnsw=False),
    Index.TENANT: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, enable_hnsw=False),
    Index.TIME: models.DatetimeIndexParams(type=models.DatetimeIndexType.DATETIME, enable_hnsw=False),
    Index.INTEGER: models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, enable_hnsw=False),
}
_INDEXES = {**INDEXES, RESERVED_MS: Index.INTEGER, metadata_terms.FIELD: Index.KEYWORD}

_OLDEST_SERVER = (1, 17)
"""An older one takes no notice of `update_mode`, and would overwrite messages by the placeholders of others."""

_CONFLICT = 409
_NOTED_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True)
class Layout:
    """What a collection has that another one may lack."""

    keywords: KeywordSpace
    has_terms: bool
    """Whether metadata is found by its terms; collections of earlier releases have none."""


async def ensure_layout(
    collection: Collection,
    space: EmbeddingSpace,
    keywords: KeywordSpace,
    copies: Copies = SERVERS_CHOICE,
    identification: Identification | None = None,
) -> Layout:
    """Create the collection and its indexes, if they are missing, and return its layout.

    `keywords` and `copies` are what a new collection gets; one that exists keeps its own. With an `identification`, a
    collection that once was there is not made anew.

    Raises:
        GlobalFault: the collection exists but lacks this space's vector, or has it in other dimensions, or lacks BM25
            vectors; or it is lost, or not the one that is known.
        Unavailable: Qdrant is out of reach.

    """
    client, name = collection.client, collection.name
    with qdrant_faults():
        await _check_release(collection)
        if not await client.collection_exists(name):
            await _create(collection, space, keywords, copies, await _proposed(name, identification))
        info = await client.get_collection(name)
        marks = await _identified(collection, Marks.read(info.config.metadata), identification)
        _check_dimensions(info, name, space)
        for field, index in _INDEXES.items():
            if field not in info.payload_schema:
                await client.create_payload_index(name, field, _SCHEMAS[index], wait=True)
    return Layout(_keyword_space(info, name), marks.has_terms)


async def _proposed(name: str, identification: Identification | None) -> Marks | None:
    """Return what is noted in a new collection, whose identity is known outside before it is there."""
    if identification is None:
        return None
    kept = await identification.keeper.read()
    if kept is None:
        await identification.keeper.propose(identification.new_identity())
        kept = await identification.keeper.read()
    if kept is None or kept.is_confirmed:
        raise missing(name, kept)
    return Marks(kept.value, has_terms=True)


async def _identified(collection: Collection, found: Marks, identification: Identification | None) -> Marks:
    """Return what is noted in a collection that is there, once its identity is known on both sides."""
    if identification is None:
        return found
    keeper = identification.keeper
    kept = await keeper.read()
    require_same(collection.name, kept, found.identity)
    if kept is None or not kept.is_confirmed:
        if found.identity is None:
            # An earlier release made it.
            await keeper.propose(identification.new_identity())
            kept = await keeper.read()
            found = Marks(None if kept is None else kept.value, found.has_terms)
            await collection.client.update_collection(collection.name, metadata=found.written())
        if found.identity is not None:
            await keeper.confirm(found.identity)
    return found


async def ensure_vector(collection: Collection, space: EmbeddingSpace) -> None:
    """Add a space's vector to the collection, if it is missing; existing points then have no value for it.

    Raises:
        GlobalFault: it exists in other dimensions.
        Unavailable: Qdrant is out of reach.

    """
    client, name = collection.client, collection.name
    config = models.DenseVectorConfig(size=space.dimensions, distance=models.Distance.COSINE)
    with qdrant_faults():
        info = await client.get_collection(name)
        vectors = info.config.params.vectors
        if isinstance(vectors, dict) and space.vector_name not in vectors:
            await client.create_vector_name(name, space.vector_name, models.DenseVectorNameConfig(dense=config))
            info = await client.get_collection(name)
    _check_dimensions(info, name, space)


async def read_layout(collection: Collection, kept: KeptIdentity | None) -> Layout:
    """Return the layout of the collection; `kept` is what is known of it elsewhere.

    Raises:
        GlobalFault: the collection is missing, or has no BM25 vectors, or is not the one that is known.
        Unavailable: Qdrant is out of reach.

    """
    client, name = collection.client, collection.name
    with qdrant_faults():
        if not await client.collection_exists(name):
            raise missing(name, kept)
        info = await client.get_collection(name)
    marks = Marks.read(info.config.metadata)
    require_same(name, kept, marks.identity)
    return Layout(_keyword_space(info, name), marks.has_terms)


async def note_settled(collection: Collection, milliseconds: int) -> None:
    """Note until when all entries are in the collection, unless that was noted within the last minute.

    Raises:
        GlobalFault: the collection is missing.
        Unavailable: Qdrant is out of reach.

    """
    client, name = collection.client, collection.name
    with qdrant_faults():
        noted = ((await client.get_collection(name)).config.metadata or {}).get(SETTLED)
        if not isinstance(noted, int) or milliseconds - noted > _NOTED_EVERY_MS:
            await client.update_collection(name, metadata={SETTLED: milliseconds})


async def _check_release(collection: Collection) -> None:
    version = (await collection.client.info()).version
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < _OLDEST_SERVER:
        oldest = ".".join(map(str, _OLDEST_SERVER))
        raise GlobalFault(DEPENDENCY, f"the server is of version {version}, and {oldest} or later is needed")


async def _create(
    collection: Collection, space: EmbeddingSpace, keywords: KeywordSpace, copies: Copies, marks: Marks | None
) -> None:
    dense = models.VectorParams(
        size=space.dimensions, distance=models.Distance.COSINE, on_disk=True if copies.on_disk_vectors else None
    )
    try:
        await collection.client.create_collection(
            collection.name,
            vectors_config={space.vector_name: dense},
            sparse_vectors_config={keywords.vector_name: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            # An index per owner instead of one over everybody: each question is about one owner.
            hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
            shard_number=copies.shard_number,
            replication_factor=copies.replication_factor,
            write_consistency_factor=copies.write_consistency_factor,
            quantization_config=copies.quantization_config(),
            metadata=None if marks is None else marks.written(),
        )
    except UnexpectedResponse as error:
        if error.status_code != _CONFLICT:
            raise
        # Another worker was first.


def _keyword_space(info: models.CollectionInfo, name: str) -> KeywordSpace:
    found = keyword_space_of(info.config.params.sparse_vectors or {})
    if found is None:
        raise GlobalFault(DEPENDENCY, f"the collection {name!r} has no BM25 vectors: set another collection name")
    return found


def _check_dimensions(info: models.CollectionInfo, name: str, space: EmbeddingSpace) -> None:
    vectors = info.config.params.vectors
    params = vectors.get(space.vector_name) if isinstance(vectors, dict) else None
    if params is None:
        raise GlobalFault(
            DEPENDENCY,
            f"the collection {name!r} has no vector {space.vector_name!r}: "
            "set the embedding model it was filled with, or another collection name",
        )
    if params.size != space.dimensions:
        raise GlobalFault(
            DEPENDENCY,
            f"the vector {space.vector_name!r} has {params.size} dimensions, {space.dimensions} are configured",
        )
