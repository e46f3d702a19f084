"""One collection: the engine's files, a record of what the engine does not remember, and the order of writes."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import qdrant_edge as qe

from memstream.local.qdrant.compaction import overwrite_log
from memstream.local.qdrant.configuration import (
    DELETED_THRESHOLD,
    INDEXING_THRESHOLD,
    add_vector,
    engine_config,
    vector_schema,
)
from memstream.local.qdrant.durable_files import read_json, sync_files, write_json
from memstream.local.qdrant.errors import ApiError, EngineClosedError, engine_errors, no_collection
from memstream.local.qdrant.indexes import read_schema
from memstream.local.qdrant.json_fields import Json
from memstream.local.qdrant.payloads import Payloads

RECORD = "collection.json"
_SHARD = "shard"

_T = TypeVar("_T")


class Collection:
    """An open collection. Writes run one at a time and are applied when they return; reads wait for none of them.

    The record on disk decides which vectors and payload indexes the collection has. It is written before the engine
    changes, and ``open`` makes the engine agree with it.
    """

    def __init__(self, directory: Path, record: Json, shard: qe.EdgeShard) -> None:
        self.directory = directory
        self.record = record
        self.schema = vector_schema(record["config"])
        self.payloads = Payloads()
        self.is_optimizing = False
        self.uses = 0
        self.unflushed = 0
        self.unoptimized = 0
        self._shard = shard
        self._lock = threading.RLock()
        self._operations = 0
        self._deleted_meanwhile: datetime | None = None
        self._closed = False

    @classmethod
    def create(cls, directory: Path, name: str, config: Json) -> "Collection":
        """Return a new collection in a new directory. It exists from the moment its record does."""
        with engine_errors():
            built = engine_config(config)
            shard_directory = directory / _SHARD
            shard_directory.mkdir(parents=True)
            shard = qe.EdgeShard.create(str(shard_directory), built)
            shard.flush()
        record: Json = {"format": 1, "name": name, "config": config, "indexes": {}}
        write_json(directory / RECORD, record)
        return cls(directory, record, shard)

    @classmethod
    def open(cls, directory: Path, record: Json) -> "Collection":
        """Return the collection in a directory: replay the write-ahead log and finish interrupted changes."""
        with engine_errors():
            collection = cls(directory, record, qe.EdgeShard.load(str(directory / _SHARD)))
            collection._reconcile()
        return collection

    @property
    def name(self) -> str:
        """The collection's name."""
        name: str = self.record["name"]
        return name

    @property
    def config(self) -> Json:
        """The configuration, as it was given over REST."""
        config: Json = self.record["config"]
        return config

    @property
    def points(self) -> int:
        """The approximate number of points."""
        return self._call(lambda shard: shard.info().points_count)

    def read(self, call: Callable[[qe.EdgeShard], _T]) -> _T:
        """Return the result of an engine call that changes nothing; raise an error if the collection was deleted."""
        self.uses += 1
        return self._call(call)

    def write(self, operations: Sequence[qe.UpdateOperation], points: int = 1) -> int:
        """Apply operations and return the write's number in this run of the server. From then on it survives a crash.

        Reads may run between the operations, other writes may not.
        """
        with self._writing() as shard, engine_errors():
            for operation in operations:
                shard.update(operation)
            self.uses += 1
            self.unflushed += points
            self.unoptimized += points
            return self._next_operation()

    def create_index(self, field: str, schema: object) -> int:
        """Create a payload index from its REST schema."""
        index = read_schema(schema)
        with self._writing() as shard:
            with engine_errors():
                operation = qe.UpdateOperation.create_field_index(field, index)
            indexes = {**self.record["indexes"], field: schema}
            return self._change({**self.record, "indexes": indexes}, shard, operation)

    def change_vectors(self, config: Json, operation: qe.UpdateOperation) -> int:
        """Apply an operation that adds or drops a named vector, and remember the new configuration."""
        with self._writing() as shard:
            return self._change({**self.record, "config": config}, shard, operation)

    def configure(self, config: Json) -> None:
        """Remember a configuration that changes nothing for the engine."""
        with self._writing():
            self._save({**self.record, "config": config})

    def flush(self) -> None:
        """Write everything into the segments, so that the write-ahead log need not be replayed.

        Most of it is synced beforehand, because the engine blocks all other threads while it waits for the disk.
        """
        pending, self.unflushed = self.unflushed, 0
        sync_files(self.directory / _SHARD)
        try:
            self._call(lambda shard: shard.flush())
        except ApiError:
            self.unflushed += pending
            raise

    def optimize(self) -> None:
        """Merge segments and reclaim the space of deleted points."""
        self.unoptimized = 0
        self.is_optimizing = True
        try:
            self._call(lambda shard: shard.optimize())
        finally:
            self.is_optimizing = False

    @property
    def residue_since(self) -> datetime | None:
        """Since when the files may hold bytes of deleted points; None if they hold none."""
        since = self.record.get("residue_since")
        return None if since is None else datetime.fromisoformat(since)

    def note_deletion(self, now: datetime) -> None:
        """Note that points were deleted, whose bytes are still in the files; and forget their payloads."""
        self.payloads.forget()
        with self._writing():
            self._deleted_meanwhile = self._deleted_meanwhile or now
            if self.residue_since is None:
                self._save({**self.record, "residue_since": now.isoformat()})

    def compact(self) -> None:
        """Take the bytes of all points that were deleted before out of the files: of the segments, and of the log.

        Killed in between, it leaves the collection as it was, and the note that there is something to compact.
        """
        self._deleted_meanwhile = None
        self.flush()
        self.optimize()
        self.flush()
        overwrite_log(self._apply, self.flush)
        self._note_compaction()

    def _note_compaction(self) -> None:
        with self._writing():
            record = {name: value for name, value in self.record.items() if name != "residue_since"}
            if self._deleted_meanwhile is not None:
                record["residue_since"] = self._deleted_meanwhile.isoformat()
            self._save(record)

    def _apply(self, operation: qe.UpdateOperation) -> None:
        with self._writing() as shard, engine_errors():
            shard.update(operation)

    def close(self) -> None:
        """Close the engine's files. Calls in progress fail as if the collection had been deleted."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._shard.close()

    def _call(self, call: Callable[[qe.EdgeShard], _T]) -> _T:
        try:
            with engine_errors():
                return call(self._shard)
        except EngineClosedError as error:
            raise no_collection(self.name) from error

    @contextmanager
    def _writing(self) -> Iterator[qe.EdgeShard]:
        with self._lock:
            if self._closed:
                raise no_collection(self.name)
            yield self._shard

    def _change(self, record: Json, shard: qe.EdgeShard, operation: qe.UpdateOperation) -> int:
        before = self.record
        self._save(record)
        try:
            with engine_errors():
                shard.update(operation)
        except ApiError:
            self._save(before)
            raise
        self.unflushed += 1
        return self._next_operation()

    def _next_operation(self) -> int:
        self._operations += 1
        return self._operations

    def _save(self, record: Json) -> None:
        write_json(self.directory / RECORD, record)
        self.record = record
        self.schema = vector_schema(record["config"])

    def _reconcile(self) -> None:
        """Make the engine's indexes, vectors and settings agree with the record."""
        present = self._shard.info().payload_schema
        wanted = self.record["indexes"]
        for field in present.keys() - wanted.keys():
            self._shard.update(qe.UpdateOperation.delete_field_index(field))
        for field in wanted.keys() - present.keys():
            self._shard.update(qe.UpdateOperation.create_field_index(field, read_schema(wanted[field])))
        held = read_json(self.directory / _SHARD / "edge_config.json") or {}
        names = {*(held.get("vectors") or {}), *(held.get("sparse_vectors") or {})}
        for name in names - self.schema.dense.keys() - self.schema.sparse:
            self._shard.update(qe.UpdateOperation.delete_vector_name(name))
        for name in self.schema.dense.keys() - names:
            self._shard.update(add_vector(name, self.config))
        optimizers = held.get("optimizers") or {}
        if (optimizers.get("indexing_threshold"), optimizers.get("deleted_threshold")) != (
            INDEXING_THRESHOLD,
            DELETED_THRESHOLD,
        ):
            # An earlier release created the collection, with other defaults.
            self._shard.flush()
            self._shard.close()
            self._shard = qe.EdgeShard.load(str(self.directory / _SHARD), engine_config(self.config))
