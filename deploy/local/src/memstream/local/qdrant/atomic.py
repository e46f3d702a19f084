"""Small JSON files that are either the old or the new one, whenever the power goes; and what else is durable when."""

import os
from contextlib import suppress
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


def sync_files(folder: Path) -> None:
    """Write out what the files below a folder have by now, mapped or not, while other threads run.

    This only takes work off a sync that follows, which fails where this one does; so a failure here is passed over.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                handle = os.open(os.path.join(parent, name), os.O_RDONLY)  # noqa: PTH118 - a path as text is enough
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
