"""The cache of the converted model: converted at the first start, then shared by all."""

import os
import shutil
import tempfile
from pathlib import Path

from ctranslate2.version import __version__ as ctranslate2_version

from memstream.local.embeddings.weights import MINILM_PACKAGE, MINILM_SHA256, package_folder

# Incremented when `conversion` changes what it writes for the same weights.
_REVISION = 1


def cached_model(cache: Path) -> Path:
    """Return the directory of the converted model inside `cache`; convert the model if it is not there.

    Safe for concurrent processes, because the directory is renamed into place. Raises `WeightsError` if the weights are
    missing or changed, `OSError` if the cache can't be written.
    """
    source = package_folder(MINILM_PACKAGE) / "model"
    target = cache / f"all-MiniLM-L6-v2-{MINILM_SHA256[:16]}-int8-ctranslate2-{ctranslate2_version}-r{_REVISION}"
    if target.is_dir():
        return target
    # Needed once, and slow to import.
    from memstream.local.embeddings.conversion import convert  # noqa: PLC0415

    cache.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=cache))
    try:
        convert(source, draft)
        _publish(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _publish(draft: Path, target: Path) -> None:
    for file in draft.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())
    try:
        draft.rename(target)
    except OSError:
        # Another process was faster; its model is the same.
        if not target.is_dir():
            raise
