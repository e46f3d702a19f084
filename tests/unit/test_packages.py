"""The retriever's packages have one entrance each, and depend on each other in one direction."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

TOP = Path(__file__).parents[2]
RETRIEVER = TOP / "services/retriever/src/memstream/retriever"
NAME = "memstream.retriever"
PACKAGES = sorted(file.parent.name for file in RETRIEVER.glob("*/__init__.py") if file.parent.name != "command")
OTHERS = ("client", "deploy", "services", "shared", "benchmarks", "docs", "examples")


def imports(file: Path) -> Iterator[list[str]]:
    """Yield the path below the retriever of each of its modules and packages that a file imports from."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names if _is_module(node.module, alias.name)]
            modules = submodules or [node.module]
        else:
            modules = []
        for module in modules:
            if module.startswith(f"{NAME}."):
                yield module.removeprefix(f"{NAME}.").split(".")


def _is_module(package: str, name: str) -> bool:
    folder = RETRIEVER.joinpath(*package.removeprefix(NAME).split("."))
    return package.startswith(f"{NAME}.") and (folder / f"{name}.py").is_file()


def test_there_are_packages() -> None:
    assert PACKAGES == ["asking", "candidates", "context", "ranking", "reranking", "timeline"]


def test_a_package_is_imported_by_its_entrance_from_outside_and_by_its_modules_from_inside() -> None:
    for folder in OTHERS:
        for file in (TOP / folder).rglob("*.py"):
            inside = file.parent.name if file.parent.parent == RETRIEVER else None
            for package, *module in imports(file):
                if package in PACKAGES:
                    assert bool(module) == (package == inside), f"{file}: {'.'.join([package, *module])}"


def test_packages_depend_on_each_other_in_one_direction() -> None:
    dependencies = {
        package: {
            imported
            for file in (RETRIEVER / package).glob("*.py")
            for imported, *_ in imports(file)
            if imported != package and imported in PACKAGES
        }
        for package in PACKAGES
    }

    order = list(TopologicalSorter(dependencies).static_order())

    assert order.index("asking") < order.index("ranking") < order.index("candidates")
    assert dependencies["asking"] == set()
