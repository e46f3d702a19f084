"""Small JSON files that are either the old or the new one, whenever the power goes."""

import os
from pathlib import Path

import orjson

from memstream.local.qdrant.fields import Json


def write_json(path: Path, value: Json) -> None:
    """Replace the file: written beside it, synced, renamed, and the rename synced."""
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("wb") as file:
        file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)


def read_json(path: Path) -> Json | None:
    """Return what the file holds, or None if there is none."""
    if not path.exists():
        return None
    value: Json = orjson.loads(path.read_bytes())
    return value


def sync_folder(path: Path) -> None:
    """Make creations, renames and removals inside the folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
