"""The documents in `docs`, as they are committed and as they are made."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"


def exporter() -> ModuleType:
    """Load `docs/export.py`, which lies in no package."""
    spec = importlib.util.spec_from_file_location("docs_export", DOCS / "export.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def committed(path: str) -> Any:  # noqa: ANN401 - any JSON
    """Read a committed document."""
    return json.loads((DOCS / path).read_text("utf-8"))


def references(part: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Find every reference in a document."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for item in part:
            yield from references(item)


def resolve(document: Any, reference: str) -> Any:  # noqa: ANN401 - any JSON
    """Follow a reference within a document.

    Raises:
        KeyError: it leads nowhere.

    """
    assert reference.startswith("#/"), f"{reference} leads out of the document"
    for step in reference[2:].split("/"):
        document = document[step.replace("~1", "/").replace("~0", "~")]
    return document
