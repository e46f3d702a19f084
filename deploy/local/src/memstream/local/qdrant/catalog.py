"""All collections of a data folder, their aliases, and the lock that keeps a second server out."""

import fcntl
import logging
import os
import secrets
import shutil
import threading
from pathlib import Path

from memstream.local.qdrant.atomic import read_json, sync_folder, write_json
from memstream.local.qdrant.collection import RECORD, Collection
from memstream.local.qdrant.fields import Json
from memstream.local.qdrant.refusals import Refusal, invalid, no_collection, not_found, wrong

_FORBIDDEN = frozenset('<>:"/\\|?*\0\x1f')
_LONGEST = 255

log = logging.getLogger(__name__)


class FolderInUseError(Exception):
    """Another process has the data folder."""


class Catalog:
    """The collections by name or alias. Opening one takes the folder for this process; ``close`` gives it back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "collections"
        self._aliases_file = folder / "aliases.json"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._handle = _take(folder / ".lock")
        self._lock = threading.RLock()
        self._collections: dict[str, Collection] = {}
        for each in sorted(self._folder.iterdir()):
            self._open(each)
        aliases = read_json(self._aliases_file) or {}
        self._aliases: dict[str, str] = {alias: name for alias, name in aliases.items() if name in self._collections}

    def get(self, name: str) -> Collection:
        """Return the collection that a name or an alias stands for."""
        collection = self._collections.get(self._aliases.get(name, name))
        if collection is None:
            raise no_collection(name)
        return collection

    def has(self, name: str) -> bool:
        """Tell whether a name or an alias stands for a collection."""
        return self._aliases.get(name, name) in self._collections

    def names(self) -> list[str]:
        """Return the names of all collections."""
        return sorted(self._collections)

    def all(self) -> list[Collection]:
        """Return all collections as they are now."""
        return list(self._collections.values())

    def create(self, name: str, config: Json) -> None:
        """Make an empty collection; refuses a name that is taken."""
        _check_name(name)
        with self._lock:
            if self.has(name):
                raise Refusal(409, f"Wrong input: Collection `{name}` already exists!")
            folder = self._folder / secrets.token_hex(8)
            try:
                self._collections[name] = Collection.create(folder, name, config)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            sync_folder(self._folder)

    def delete(self, name: str) -> bool:
        """Remove a collection with its aliases; returns False if there is none of that name."""
        with self._lock:
            collection = self._collections.pop(name, None)
            if collection is None:
                return False
            self._save_aliases({alias: target for alias, target in self._aliases.items() if target != name})
            collection.close()
            (collection.folder / RECORD).unlink()  # from here on it does not exist, whatever is left of it
            sync_folder(collection.folder)
        shutil.rmtree(collection.folder, ignore_errors=True)
        return True

    def aliases(self, collection: str | None = None) -> list[Json]:
        """Return the aliases, of one collection or of all."""
        return [
            {"alias_name": alias, "collection_name": name}
            for alias, name in sorted(self._aliases.items())
            if collection in (None, name)
        ]

    def change_aliases(self, actions: list[tuple[str, str, str]]) -> None:
        """Apply ``(create, alias, collection)``, ``(delete, alias, "")`` and ``(rename, old, new)``, all or none."""
        with self._lock:
            aliases = dict(self._aliases)
            for kind, alias, other in actions:
                if kind == "create":
                    if other not in self._collections:
                        raise no_collection(other)
                    if alias in self._collections:
                        raise wrong(f"Collection `{alias}` already exists!")
                    aliases[alias] = other
                elif alias not in aliases:
                    raise not_found(f"Alias {alias} does not exists!")
                elif kind == "delete":
                    del aliases[alias]
                else:
                    aliases[other] = aliases.pop(alias)
            self._save_aliases(aliases)

    def close(self) -> None:
        """Close every collection and give the folder back."""
        with self._lock:
            for collection in self._collections.values():
                collection.close()
            os.close(self._handle)

    def _save_aliases(self, aliases: dict[str, str]) -> None:
        if aliases != self._aliases:
            write_json(self._aliases_file, aliases)
            self._aliases = aliases

    def _open(self, folder: Path) -> None:
        record = read_json(folder / RECORD)
        if record is None:
            log.warning("%s is what a crash left of a collection that was being made or deleted; removing it", folder)
            shutil.rmtree(folder, ignore_errors=True)
            return
        try:
            self._collections[record["name"]] = Collection.open(folder, record)
        except Refusal as refusal:
            raise Refusal(refusal.status, f"collection {record['name']} in {folder.name}: {refusal}") from refusal


def _take(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(handle, 32, 0).decode() or "unknown"
        os.close(handle)
        raise FolderInUseError(f"{path.parent} is in use by another server, process {owner}") from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def _check_name(name: str) -> None:
    bad = sorted(_FORBIDDEN.intersection(name))
    if bad or not 0 < len(name) <= _LONGEST:
        reason = f"contains invalid characters {bad}" if bad else f"must have 1 to {_LONGEST} characters"
        raise invalid("collection_name", reason)
