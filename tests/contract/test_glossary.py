"""What the glossary says of the code is there: each name in its last column can be imported."""

import importlib
import re
from pathlib import Path

import pytest

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (Path(__file__).parents[2] / "docs/glossary.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| term")
]
PACKAGES = ("client", "contracts", "embedder", "ingest", "local", "retriever", "runtime", "streams", "vectors", "web")
NAMES = sorted(
    {
        name
        for *_, where in ROWS
        for name in re.findall(r"`([a-z_]+(?:\.\w+)+)`", where)
        if name.startswith(tuple(f"{package}." for package in PACKAGES))
    }
)


def test_the_glossary_has_terms_in_order_each_once() -> None:
    terms = [row[0].lower() for row in ROWS]

    assert len(terms) >= 60
    assert len(set(terms)) == len(terms)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_the_glossary_exists(name: str) -> None:
    parts = f"memstream.{name}".split(".")
    for length in range(len(parts), 1, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            fields = getattr(found, "model_fields", None) or getattr(found, "__annotations__", {})
            assert hasattr(found, part) or part in fields, f"{name}: {part} is not there"
            found = getattr(found, part, None)
        return
    pytest.fail(f"{name}: there is no such module")
