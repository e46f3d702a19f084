"""Which modules may import what: a vendor's library stays in its adapter, and packages have one direction."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(file for room in ("services", "shared", "client") for file in (ROOT / room).glob("**/src/**/*.py"))

ADAPTERS = {
    "qdrant_client": "memstream/vectors/store/qdrant/",
    "openai": "memstream/vectors/embeddings/",
    "faststream": "memstream/embedder/",
    "fastapi": ("memstream/web/", "/api.py", "_api.py", "/app.py"),
}
"""Who may import a library, by a part of the path."""


def imports(file: Path) -> Iterator[str]:
    """List the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def importers(library: str) -> list[str]:
    """List the files that import a library or a package."""
    return [
        str(file.relative_to(ROOT))
        for file in SOURCES
        if any(name == library or name.startswith(f"{library}.") for name in imports(file))
    ]


@pytest.mark.parametrize("library", ADAPTERS)
def test_a_vendors_library_is_imported_by_its_adapter_alone(library: str) -> None:
    allowed = ADAPTERS[library]
    parts = (allowed,) if isinstance(allowed, str) else allowed
    found = importers(library)

    assert found, f"nobody imports {library}: is this rule still of use?"
    assert [file for file in found if not any(part in file for part in parts)] == []


@pytest.mark.parametrize(
    ("adapter", "inside"),
    [("memstream.vectors.store.qdrant", "/store/qdrant/"), ("memstream.vectors.embeddings.openai", "/embeddings/")],
)
def test_an_adapter_is_named_in_one_place(adapter: str, inside: str) -> None:
    found = [file for file in importers(adapter) if inside not in file]

    assert found == ["shared/vectors/src/memstream/vectors/composition.py"]


@pytest.mark.parametrize(
    ("package", "never"),
    [
        ("memstream/vectors/store/", "memstream.vectors.embeddings"),
        ("memstream/vectors/embeddings/", "memstream.vectors.store"),
        ("memstream/runtime/", "memstream.vectors"),
        ("memstream/contracts/", "memstream.runtime"),
    ],
)
def test_packages_that_are_apart_stay_apart(package: str, never: str) -> None:
    assert [file for file in importers(never) if package in file] == []
