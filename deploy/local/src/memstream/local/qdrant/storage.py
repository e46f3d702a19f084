"""All collections of a data directory, and the lock that keeps a second server out of it."""

import fcntl
import logging
import os
import secrets
import shutil
import threading
from pathlib import Path

from memstream.local.qdrant.collection import RECORD, Collection
from memstream.local.qdrant.durable_files import read_json, sync_directory
from memstream.local.qdrant.errors import ApiError, invalid, no_collection
from memstream.local.qdrant.json_fields import Json

_FORBIDDEN = frozenset('<>:"/\\|?*\0\x1f')
_MAX_NAME = 255

log = logging.getLogger(__name__)


class DirectoryInUseError(Exception):
    """Another process has locked the data directory."""


class Storage:
    """The collections by name. Opening the storage locks its directory for this process until ``close``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "collections"
        self._directory.mkdir(parents=True, exist_ok=True)
        self._handle = _lock(directory / ".lock")
        self._lock = threading.RLock()
        self._collections: dict[str, Collection] = {}
        for each in sorted(self._directory.iterdir()):
            self._open(each)

    def get(self, name: str) -> Collection:
        """Return the collection of that name; raise an error if there is none."""
        collection = self._collections.get(name)
        if collection is None:
            raise no_collection(name)
        return collection

    def has(self, name: str) -> bool:
        """Return whether there is a collection of that name."""
        return name in self._collections

    def all(self) -> list[Collection]:
        """Return all collections."""
        return list(self._collections.values())

    def create(self, name: str, config: Json) -> None:
        """Create an empty collection; raise an error if the name is taken."""
        _check_name(name)
        with self._lock:
            if self.has(name):
                raise ApiError(409, f"Wrong input: Collection `{name}` already exists!")
            directory = self._directory / secrets.token_hex(8)
            try:
                self._collections[name] = Collection.create(directory, name, config)
            except BaseException:
                shutil.rmtree(directory, ignore_errors=True)
                raise
            sync_directory(self._directory)

    def delete(self, name: str) -> bool:
        """Delete a collection; return False if there is none of that name."""
        with self._lock:
            collection = self._collections.pop(name, None)
            if collection is None:
                return False
            collection.close()
            # Without its record the collection does not exist, whatever else is left of it.
            (collection.directory / RECORD).unlink()
            sync_directory(collection.directory)
        shutil.rmtree(collection.directory, ignore_errors=True)
        return True

    def close(self) -> None:
        """Close every collection and unlock the directory."""
        with self._lock:
            for collection in self._collections.values():
                collection.close()
            os.close(self._handle)

    def _open(self, directory: Path) -> None:
        record = read_json(directory / RECORD)
        if record is None:
            log.warning("removing %s: a crash interrupted the creation or deletion of a collection", directory)
            shutil.rmtree(directory, ignore_errors=True)
            return
        try:
            self._collections[record["name"]] = Collection.open(directory, record)
        except ApiError as error:
            raise ApiError(error.status, f"collection {record['name']} in {directory.name}: {error}") from error


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(handle, 32, 0).decode() or "unknown"
        os.close(handle)
        raise DirectoryInUseError(f"{path.parent} is in use by another server, process {owner}") from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def _check_name(name: str) -> None:
    forbidden = sorted(_FORBIDDEN.intersection(name))
    if forbidden or not 0 < len(name) <= _MAX_NAME:
        reason = f"contains invalid characters {forbidden}" if forbidden else f"must have 1 to {_MAX_NAME} characters"
        raise invalid("collection_name", reason)
