# ruff: noqa: INP001 - a script, not a package
"""Write documents from the code: the events' JSON Schema, the services' OpenAPI, the streams' AsyncAPI, the features.

Run by `make docs`. With `--check`, nothing is written: differences to what lies here are listed, and the exit is 1.
With `--release VERSION`, the events' schemas are frozen too; later ones are held to every frozen copy.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

from pydantic import SecretStr

from memstream.contracts.events import EVENTS
from memstream.embedder import asyncapi
from memstream.ingest import app as ingest
from memstream.ingest.settings import IngestSettings
from memstream.retriever import app as retriever
from memstream.retriever.ranking import CLUES, DOUBTS, FEATURES, MAX_ANALYSED, OTHER_SIGNALS, Feature, Signal
from memstream.retriever.settings import RetrieverSettings
from memstream.runtime.clock import SystemClock

HERE = Path(__file__).parent

RELEASED = "schemas/released"

_FEATURES_PAGE = """\
# Ranking features

Written by `make docs` from the list in `memstream.retriever.ranking.features`.

A hit's `relevance` is the probability that it answers the question. It is made in two steps, each with coefficients for
the scores that there are. Those that are shipped hold for all embedding models
([decision 0028](decisions/0028-order-and-relevance.md)).

1. A candidate's order score is the weighted sum of its features: the higher, the earlier its place.
2. Its relevance is a logistic regression over how far its order score is behind the first hit's, over the clues that
   the best hits give together, and over the doubts about the first hit. Clues and doubts are the same for all hits of a
   question, so relevance never contradicts the order.

A hit's `signals` show its features and doubts. A signal whose value is 0 is not shown, except for `dense`, `keyword`
and `chunks`. The texts of the best {analysed} candidates only are analysed: for others `answers`, `coverage` and
`partial_coverage` are 0, and `surroundings` counts as if they had none of the question's terms.

Features, which order the hits:

{features}

Doubts, which lower the relevance of all hits if they hold for the first one:

{doubts}

Clues, which are not shown:

{clues}

Other signals adjust the scores, or say what changed the order of the hits:

{others}
"""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def documents() -> dict[str, str]:
    """Make every document, by its path in this folder. Nothing is connected, and the environment is not read."""
    found = {f"schemas/{name}.json": schema for name, schema in _schemas()}
    # Constructed, not loaded: these are the defaults, whatever the environment says.
    ingest_settings = IngestSettings.model_construct()
    retriever_settings = RetrieverSettings.model_construct(embeddings_api_key=SecretStr("none"))
    found["openapi/ingest.json"] = ingest.build(ingest_settings, SystemClock(), Random(0)).openapi()  # noqa: S311 - no ids are made
    found["openapi/retriever.json"] = retriever.build(retriever_settings, SystemClock()).openapi()
    found["asyncapi/embedder.json"] = asyncapi.describe(version("memstream-contracts"))
    return {**{path: _written(document) for path, document in found.items()}, "features.md": features_page(FEATURES)}


def _schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    for event in EVENTS:
        name = event.model_fields["type"].default
        yield name, {"$schema": _DIALECT, "$id": f"urn:memstream:event:{name}", **asyncapi.event_schema(event)}


def features_page(features: Sequence[Feature]) -> str:
    """Return what ranking is made of, as Markdown."""
    rows = [(*_cells(one), ", ".join(f"`{score}`" for score in sorted(one.needs)) or "—") for one in features]
    return _FEATURES_PAGE.format(
        analysed=MAX_ANALYSED,
        features=_table(("Name", "Meaning", "Not shown", "Needs the score"), rows),
        doubts=_table(("Name", "Meaning", "Not shown"), [_cells(one) for one in DOUBTS]),
        clues=_table(("Name", "Meaning"), [(f"`{clue.name}`", clue.meaning) for clue in CLUES]),
        others=_table(("Name", "Meaning", "Not shown"), [_cells(one) for one in OTHER_SIGNALS]),
    )


def _cells(signal: Signal) -> tuple[str, str, str]:
    return f"`{signal.name}`", signal.meaning, signal.hidden_when


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _written(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def differing(made: Mapping[str, str], folder: Path) -> list[str]:
    """List the paths whose file in `folder` is missing, is not what was made, or is made no more."""
    changed = [path for path, text in made.items() if not _is(folder / path, text)]
    kept = [
        str(file.relative_to(folder))
        for path in {Path(p).parent for p in made}
        for file in (folder / path).glob("*.json")
    ]
    return sorted({*changed, *(path for path in kept if path not in made)})


def _is(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text("utf-8") == text


def _write(made: Mapping[str, str], folder: Path) -> None:
    for path, text in made.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def release(made: Mapping[str, str], name: str, folder: Path) -> None:
    """Freeze the events' schemas as those of a release.

    Raises:
        FileExistsError: they are frozen already.

    """
    target = folder / RELEASED / name
    target.mkdir(parents=True)
    _write({Path(path).name: text for path, text in made.items() if path.startswith("schemas/")}, target)


def main(arguments: Sequence[str] | None = None, folder: Path = HERE) -> int:
    """Do what the arguments say, and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, and list what differs")
    parser.add_argument("--release", metavar="VERSION", help="freeze the events' schemas as those of this release")
    options = parser.parse_args(arguments)
    made = documents()
    changed = differing(made, folder)
    if options.check:
        sys.stdout.writelines(f"differs: {path}\n" for path in changed)
        return 1 if changed else 0
    _write(made, folder)
    for path in changed:
        if path not in made:
            (folder / path).unlink()
    if options.release:
        release(made, options.release, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
