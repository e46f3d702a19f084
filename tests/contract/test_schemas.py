"""The schemas of the events: committed as they are made, true to their examples, and kept from release to release."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from contract.compatibility import incompatibilities
from contract.documents import DOCS, committed, exporter
from pydantic import ValidationError

from memstream.contracts.events import EVENTS, decode_event

TYPES = [event.model_fields["type"].default for event in EVENTS]
EXAMPLES = [(kind, name) for kind in TYPES for name in committed(f"schemas/examples/{kind}.json")]
FROZEN = sorted((DOCS / "schemas/released").glob("*/*.json"))


def example(kind: str, name: str) -> dict[str, Any]:
    """Read one of the hand-written examples."""
    read: dict[str, Any] = committed(f"schemas/examples/{kind}.json")[name]
    return read


def test_the_committed_documents_are_those_that_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    status = exporter().main(["--check"])

    assert status == 0, f"run `make docs` and commit:\n{capsys.readouterr().out}"


def test_a_changed_a_missing_and_a_left_over_file_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = exporter()
    assert export.main([], tmp_path) == 0
    (tmp_path / "openapi/ingest.json").unlink()
    (tmp_path / "asyncapi/embedder.json").write_text("{}")
    (tmp_path / "schemas/message.sent.v0.json").write_text("{}")

    assert export.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().out.split() == [
        *("differs:", "asyncapi/embedder.json"),
        *("differs:", "openapi/ingest.json"),
        *("differs:", "schemas/message.sent.v0.json"),
    ]


def test_a_release_is_frozen_once(tmp_path: Path) -> None:
    export = exporter()
    export.main(["--release", "1.2.3"], tmp_path)

    assert sorted(file.stem for file in (tmp_path / "schemas/released/1.2.3").iterdir()) == sorted(TYPES)
    with pytest.raises(FileExistsError):
        export.main(["--release", "1.2.3"], tmp_path)


@pytest.mark.parametrize("kind", TYPES)
def test_a_schema_is_a_valid_one(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(committed(f"schemas/{kind}.json"))


@pytest.mark.parametrize("kind", TYPES)
def test_each_event_has_a_minimal_and_a_full_example(kind: str) -> None:
    schema = committed(f"schemas/{kind}.json")

    assert set(example(kind, "minimal")) == set(schema["required"])
    assert set(example(kind, "full")) == set(schema["properties"])


@pytest.mark.parametrize(("kind", "name"), EXAMPLES)
def test_an_example_fits_the_schema(kind: str, name: str) -> None:
    jsonschema.validate(example(kind, name), committed(f"schemas/{kind}.json"), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(("kind", "name"), EXAMPLES)
def test_an_example_is_decoded_and_written_again_without_a_loss(kind: str, name: str) -> None:
    event = decode_event(json.dumps(example(kind, name)).encode())

    assert event.type == kind
    assert decode_event(event.model_dump_json().encode()) == event


@pytest.mark.parametrize("kind", TYPES)
def test_what_an_event_is_written_as_fits_the_schema(kind: str) -> None:
    written = json.loads(decode_event(json.dumps(example(kind, "full")).encode()).model_dump_json())

    jsonschema.validate(written, committed(f"schemas/{kind}.json"), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind in TYPES for field in committed(f"schemas/{kind}.json")["required"]]
)
def test_schema_and_model_both_refuse_an_event_that_lacks_a_field(kind: str, field: str) -> None:
    lacking = {name: value for name, value in example(kind, "minimal").items() if name != field}

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(lacking, committed(f"schemas/{kind}.json"), jsonschema.Draft202012Validator)
    with pytest.raises(ValidationError):
        decode_event(json.dumps(lacking).encode())


def test_there_is_a_frozen_release() -> None:
    assert FROZEN


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_released_event_keeps_its_meaning(frozen: Path) -> None:
    now = DOCS / "schemas" / frozen.name
    assert now.is_file(), f"{frozen.stem} was released in {frozen.parent.name}; consumers may still meet it in a stream"

    assert incompatibilities(json.loads(frozen.read_text("utf-8")), json.loads(now.read_text("utf-8"))) == []
