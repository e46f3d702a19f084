"""One collection: the engine's files, beside them what the engine does not remember, and the order of writes."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import qdrant_edge as qe

from memstream.local.qdrant.atomic import read_json, sync_files, write_json
from memstream.local.qdrant.fields import Json
from memstream.local.qdrant.indexes import read_schema
from memstream.local.qdrant.refusals import EngineClosedError, Refusal, engine_words, no_collection
from memstream.local.qdrant.schemas import build, by_name, indexing_threshold, layout_of
from memstream.local.qdrant.vectors import Layout

RECORD = "collection.json"
_SHARD = "shard"

_T = TypeVar("_T")


class Collection:
    """An open collection. Writes run one after the other and are applied when they return; reads wait for nobody.

    The record on disk is the authority on vectors, payload indexes and settings; it is written before the engine
    changes, and ``open`` makes the engine agree with it.
    """

    def __init__(self, folder: Path, record: Json, shard: qe.EdgeShard) -> None:
        self.folder = folder
        self.record = record
        self.layout: Layout = layout_of(record["config"])
        self.is_optimizing = False
        self.uses = 0
        self.unflushed = 0
        self.unoptimized = 0
        self._shard = shard
        self._lock = threading.RLock()
        self._operations = 0
        self._closed = False

    @classmethod
    def create(cls, folder: Path, name: str, config: Json) -> "Collection":
        """Make a collection in a new folder. It exists from the moment its record does."""
        with engine_words():
            engine_config = build(config)
            shard_folder = folder / _SHARD
            shard_folder.mkdir(parents=True)
            shard = qe.EdgeShard.create(str(shard_folder), engine_config)
            shard.flush()
        record: Json = {"format": 1, "name": name, "config": config, "indexes": {}}
        write_json(folder / RECORD, record)
        return cls(folder, record, shard)

    @classmethod
    def open(cls, folder: Path, record: Json) -> "Collection":
        """Open what is in the folder, replaying the write-ahead log, and finish changes that a crash cut short."""
        with engine_words():
            collection = cls(folder, record, qe.EdgeShard.load(str(folder / _SHARD)))
            collection._reconcile()
        return collection

    @property
    def name(self) -> str:
        """The collection's own name, not an alias."""
        name: str = self.record["name"]
        return name

    @property
    def config(self) -> Json:
        """The settings, as they were given over REST."""
        config: Json = self.record["config"]
        return config

    @property
    def points(self) -> int:
        """About how many points there are."""
        return self._call(lambda shard: shard.info().points_count)

    def read(self, call: Callable[[qe.EdgeShard], _T]) -> _T:
        """Run a call that changes nothing; waits out a change of settings and refuses if the collection was deleted."""
        self.uses += 1
        return self._call(call)

    def _call(self, call: Callable[[qe.EdgeShard], _T]) -> _T:
        try:
            with engine_words():
                return call(self._shard)
        except EngineClosedError:
            with self._writing() as shard, engine_words():
                return call(shard)

    def write(self, steps: Sequence[qe.UpdateOperation], points: int = 1) -> int:
        """Apply an operation and return its number in this run of the server; it survives a crash from then on.

        Reads get in between its steps, other writes don't.
        """
        with self._writing() as shard, engine_words():
            for step in steps:
                shard.update(step)
            self.uses += 1
            self.unflushed += points
            self.unoptimized += points
            return self._next_operation()

    def set_index(self, field: str, schema: object | None) -> int:
        """Create a payload index from its REST schema, or drop it if that is None."""
        engine_schema = None if schema is None else read_schema(schema)
        with self._writing() as shard:
            if engine_schema is None:
                operation = qe.UpdateOperation.delete_field_index(field)
            else:
                with engine_words():
                    operation = qe.UpdateOperation.create_field_index(field, engine_schema)
            indexes = {each: value for each, value in self.record["indexes"].items() if each != field}
            if schema is not None:
                indexes[field] = schema
            return self._change({**self.record, "indexes": indexes}, shard, operation)

    def change_vectors(self, config: Json, operation: qe.UpdateOperation) -> int:
        """Apply an operation that adds or drops a named vector, so that the vectors are those of ``config``."""
        with self._writing() as shard:
            return self._change({**self.record, "config": config}, shard, operation)

    def reconfigure(self, config: Json) -> None:
        """Reopen the engine with other settings; reads wait for it."""
        with self._writing() as shard:
            with engine_words():
                engine_config = build(config)
                shard.flush()
                shard.close()
                self._shard = self._reopen(engine_config)
            self._save({**self.record, "config": config})

    def flush(self) -> None:
        """Bring everything that was written into the segments, so that the log need not be replayed.

        Most of it is synced before, for the engine lets no other thread run while it waits for the disk.
        """
        pending, self.unflushed = self.unflushed, 0
        sync_files(self.folder / _SHARD)
        try:
            self._call(lambda shard: shard.flush())
        except Refusal:
            self.unflushed += pending
            raise

    def optimize(self) -> None:
        """Merge and index segments."""
        self.unoptimized = 0
        self.is_optimizing = True
        try:
            self._call(lambda shard: shard.optimize())
        finally:
            self.is_optimizing = False

    def close(self) -> None:
        """Close the engine's files. Calls that are under way end with an answer that the collection is gone."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._shard.close()

    @contextmanager
    def _writing(self) -> Iterator[qe.EdgeShard]:
        with self._lock:
            if self._closed:
                raise no_collection(self.name)
            yield self._shard

    def _reopen(self, engine_config: qe.EdgeConfig) -> qe.EdgeShard:
        folder = str(self.folder / _SHARD)
        try:
            with engine_words():
                return qe.EdgeShard.load(folder, engine_config)
        except Refusal:
            self._shard = qe.EdgeShard.load(folder)
            raise

    def _change(self, record: Json, shard: qe.EdgeShard, operation: qe.UpdateOperation) -> int:
        before = self.record
        self._save(record)
        try:
            with engine_words():
                shard.update(operation)
        except Refusal:
            self._save(before)
            raise
        self.unflushed += 1
        return self._next_operation()

    def _next_operation(self) -> int:
        self._operations += 1
        return self._operations

    def _save(self, record: Json) -> None:
        write_json(self.folder / RECORD, record)
        self.record = record
        self.layout = layout_of(record["config"])

    def _reconcile(self) -> None:
        present = self._shard.info().payload_schema
        wanted = self.record["indexes"]
        for field in present.keys() - wanted.keys():
            self._shard.update(qe.UpdateOperation.delete_field_index(field))
        for field in wanted.keys() - present.keys():
            self._shard.update(qe.UpdateOperation.create_field_index(field, read_schema(wanted[field])))
        held = read_json(self.folder / _SHARD / "edge_config.json") or {}
        names = {*by_name(held.get("vectors")), *(held.get("sparse_vectors") or {})}
        for name in names - self.layout.dense.keys() - self.layout.sparse:
            self._shard.update(qe.UpdateOperation.delete_vector_name(name))
        for name in (self.layout.dense.keys() | self.layout.sparse) - names:
            self._shard.update(add_vector(name, self.config))
        wanted_threshold = indexing_threshold(self.config.get("optimizers_config") or {})
        if (held.get("optimizers") or {}).get("indexing_threshold") != wanted_threshold:
            self._shard.flush()  # an earlier release made the collection, with another default
            self._shard.close()
            self._shard = self._reopen(build(self.config))


def add_vector(name: str, config: Json) -> qe.UpdateOperation:
    """Return the operation that adds this one of the vectors of ``config`` to a collection that lacks it."""
    engine_config = build(config)
    dense = engine_config.vectors.get(name)
    if dense is not None:
        return qe.UpdateOperation.create_dense_vector(
            name, dense.size, dense.distance, dense.multivector_config, dense.datatype
        )
    sparse = engine_config.sparse_vectors[name]
    return qe.UpdateOperation.create_sparse_vector(name, sparse.modifier, sparse.datatype)
