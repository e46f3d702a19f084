"""The converted model in its cache folder: built once, then shared by every start."""

import os
import shutil
import tempfile
from pathlib import Path

from ctranslate2.version import __version__ as ctranslate2_version

from memstream.local.embeddings.weights import MINILM_PACKAGE, MINILM_SHA256, package_folder

# Raised when `conversion` starts to write another model from the same weights.
_REVISION = 1


def converted_model(cache: Path) -> Path:
    """Return the folder of the converted model inside `cache`, building it first when it is not there.

    Safe for several processes at once: a model appears under its final name in one step. Raises `WeightsError` when
    the weights are missing or changed, `OSError` when the cache folder can't be written.
    """
    source = package_folder(MINILM_PACKAGE) / "model"
    target = cache / f"all-MiniLM-L6-v2-{MINILM_SHA256[:16]}-int8-ctranslate2-{ctranslate2_version}-r{_REVISION}"
    if target.is_dir():
        return target
    # Only needed the first time, and slow to import.
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
        # Another process was faster. Its model is made of the same weights by the same code.
        if not target.is_dir():
            raise
