"""docs/security.md names no test that is not there, and no defence without one."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))


def test_tests_are_named() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((TESTS / file).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in functions


def rows() -> list[tuple[str, str]]:
    """Return attack and proof of each row of the tables that have proofs."""
    tables = re.findall(r"^\| attack.*\| shown by \|\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    cells = [line.strip("|").split("|") for table in tables for line in table.splitlines()]
    return [(attack.strip(), proof.strip()) for attack, _, proof in cells]


def test_every_defence_names_what_shows_it() -> None:
    shown = ("::", "`python -m benchmarks.", "`make isolation")
    assert len(rows()) > 40
    assert not [attack for attack, proof in rows() if not any(kind in proof for kind in shown)]
