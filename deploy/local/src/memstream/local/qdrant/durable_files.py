"""File operations that survive a power failure: a small JSON file is always either the old or the new version."""

import os
from contextlib import suppress
from pathlib import Path

import orjson

from memstream.local.qdrant.json_fields import Json


def write_json(path: Path, value: Json) -> None:
    """Replace a file atomically: write a draft beside it, sync it, rename it, and sync the rename."""
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("wb") as file:
        file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_directory(path.parent)


def read_json(path: Path) -> Json | None:
    """Return the contents of a JSON file, or None if there is no such file."""
    if not path.exists():
        return None
    value: Json = orjson.loads(path.read_bytes())
    return value


def sync_directory(path: Path) -> None:
    """Make the creations, renames and removals in a directory durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_files(directory: Path) -> None:
    """Write every file below a directory to the disk, memory-mapped ones included, without blocking other threads.

    Errors are ignored: this only shortens a sync that follows, and that one reports them.
    """
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                handle = os.open(os.path.join(parent, name), os.O_RDONLY)  # noqa: PTH118 - a path as text is enough
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
