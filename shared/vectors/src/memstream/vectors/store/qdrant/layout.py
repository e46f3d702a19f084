"""The layout of the collection: its vectors and its indexes."""

import re
from collections.abc import Mapping

from qdrant_client import models
from qdrant_client.http.exceptions import UnexpectedResponse

from memstream.runtime.errors import GlobalFault
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store.memory import DEPENDENCY
from memstream.vectors.store.messages import INDEXES, Index
from memstream.vectors.store.qdrant.collection import Collection, qdrant_faults
from memstream.vectors.store.qdrant.fence import RESERVED_MS
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
_INDEXES = {**INDEXES, RESERVED_MS: Index.INTEGER}

_OLDEST_SERVER = (1, 17)
"""An older one takes no notice of `update_mode`, and would overwrite messages by the placeholders of others."""

_CONFLICT = 409


async def ensure_layout(collection: Collection, space: EmbeddingSpace, keywords: KeywordSpace) -> KeywordSpace:
    """Create the collection and its indexes, if they are missing, and return its keyword space.

    `keywords` is what a new collection gets; one that exists keeps its own.

    Raises:
        GlobalFault: the collection exists but lacks this space's vector, or has it in other dimensions, or lacks BM25
            vectors.
        Unavailable: Qdrant is out of reach.

    """
    client, name = collection.client, collection.name
    with qdrant_faults():
        await _check_release(collection)
        if not await client.collection_exists(name):
            await _create(collection, space, keywords)
        info = await client.get_collection(name)
        _check_dimensions(info, name, space)
        for field, index in _INDEXES.items():
            if field not in info.payload_schema:
                await client.create_payload_index(name, field, _SCHEMAS[index], wait=True)
    return _keyword_space(info, name)


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


async def read_keyword_space(collection: Collection) -> KeywordSpace:
    """Return the keyword space that the collection was created with.

    Raises:
        GlobalFault: the collection is missing, or has no BM25 vectors.
        Unavailable: Qdrant is out of reach.

    """
    client, name = collection.client, collection.name
    with qdrant_faults():
        if not await client.collection_exists(name):
            raise GlobalFault(DEPENDENCY, f"the collection {name!r} is missing")
        return _keyword_space(await client.get_collection(name), name)


async def _check_release(collection: Collection) -> None:
    version = (await collection.client.info()).version
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < _OLDEST_SERVER:
        oldest = ".".join(map(str, _OLDEST_SERVER))
        raise GlobalFault(DEPENDENCY, f"the server is of version {version}, and {oldest} or later is needed")


async def _create(collection: Collection, space: EmbeddingSpace, keywords: KeywordSpace) -> None:
    try:
        await collection.client.create_collection(
            collection.name,
            vectors_config={
                space.vector_name: models.VectorParams(size=space.dimensions, distance=models.Distance.COSINE)
            },
            sparse_vectors_config={keywords.vector_name: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            # An index per owner instead of one over everybody: each question is about one owner.
            hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
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
