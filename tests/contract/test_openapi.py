"""The HTTP services' and the streams' descriptions: valid, complete, and true to the house rules."""

import re
from typing import Any

import jsonschema
import pytest
from contract.documents import committed, references, resolve

from memstream.contracts import keys
from memstream.contracts.api_keys import SCOPES
from memstream.contracts.events import EVENTS
from memstream.contracts.problems import MEDIA_TYPE

SERVICES = ("ingest", "retriever")
PROBLEM = {"$ref": "#/components/schemas/Problem"}
COMPONENT = re.compile(r"[A-Za-z0-9._-]+")

Operation = dict[str, Any]


def operations(service: str) -> list[tuple[str, Operation]]:
    """List every operation of a service, by method and path."""
    paths = committed(f"openapi/{service}.json")["paths"]
    return [
        (f"{method.upper()} {path}", operation) for path, item in paths.items() for method, operation in item.items()
    ]


ALL = [pytest.param(operation, id=name) for service in SERVICES for name, operation in operations(service)]
KEYED = [
    pytest.param(operation, id=name)
    for service in SERVICES
    for name, operation in operations(service)
    if operation.get("tags") != ["operations"]
]


def errors_of(operation: Operation) -> list[tuple[str, dict[str, Any]]]:
    """List an operation's answers of 400 and above."""
    return [(status, answer) for status, answer in operation["responses"].items() if int(status) >= 400]


@pytest.mark.parametrize("service", SERVICES)
def test_a_description_is_valid_openapi_3_1(service: str) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="a development dependency that is yet to be added")

    validator.validate(committed(f"openapi/{service}.json"))


@pytest.mark.parametrize("service", SERVICES)
def test_a_description_has_its_parts(service: str) -> None:
    document = committed(f"openapi/{service}.json")

    assert document["openapi"].startswith("3.1.")
    assert {"title", "version", "description"} <= set(document["info"])
    assert document["paths"]


@pytest.mark.parametrize("path", [*(f"openapi/{service}.json" for service in SERVICES), "asyncapi/embedder.json"])
def test_every_reference_leads_somewhere(path: str) -> None:
    document = committed(path)

    for reference in references(document):
        assert resolve(document, reference) is not None


@pytest.mark.parametrize("path", [*(f"openapi/{service}.json" for service in SERVICES), "asyncapi/embedder.json"])
def test_every_component_is_a_valid_schema_with_an_allowed_name(path: str) -> None:
    for name, schema in committed(path)["components"]["schemas"].items():
        assert COMPONENT.fullmatch(name)
        # AsyncAPI's discriminator is a string, which JSON Schema has no rule for.
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", [f"openapi/{service}.json" for service in SERVICES])
def test_every_component_is_used(path: str) -> None:
    document = committed(path)
    used = {reference.rpartition("/")[2] for reference in references(document)}
    lines = {"MessageIn"}  # a line of NDJSON has no place for a reference

    assert set(document["components"]["schemas"]) <= used | lines


@pytest.mark.parametrize("service", SERVICES)
def test_operation_ids_are_unique(service: str) -> None:
    ids = [operation["operationId"] for _, operation in operations(service)]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("operation", ALL)
def test_every_operation_has_a_summary_and_its_answers_a_description(operation: Operation) -> None:
    assert operation["summary"]
    assert all(answer["description"] for answer in operation["responses"].values())


@pytest.mark.parametrize("operation", KEYED)
def test_every_route_but_operations_needs_a_key_with_one_scope(operation: Operation) -> None:
    (requirement,) = operation["security"]
    (scope,) = requirement["key"]

    assert set(requirement) == {"key"}
    assert scope in SCOPES
    assert (scope == "admin") == (operation["tags"] == ["admin"])
    assert {"401", "403"} <= set(operation["responses"])


@pytest.mark.parametrize("service", SERVICES)
def test_the_key_is_a_bearer_token(service: str) -> None:
    schemes = committed(f"openapi/{service}.json")["components"]["securitySchemes"]

    assert "token" in schemes["key"].pop("description")
    assert schemes == {"key": {"type": "http", "scheme": "bearer"}}


@pytest.mark.parametrize("operation", KEYED)
def test_every_error_answer_is_documented_as_a_problem(operation: Operation) -> None:
    errors = errors_of(operation)

    assert {"400", "401", "413", "422", "429", "503"} <= {status for status, _ in errors}
    for _, answer in errors:
        (content,) = answer["content"].values()
        assert content["schema"] == PROBLEM


def test_problems_are_documented_with_the_media_type_they_are_sent_with() -> None:
    media = {
        media
        for service in SERVICES
        for _, op in operations(service)
        for _, a in errors_of(op)
        for media in a["content"]
    }

    assert media == {MEDIA_TYPE}


def test_the_refusal_of_other_media_types_is_documented() -> None:
    assert "415" in dict(operations("ingest"))["POST /v1/messages/batch"]["responses"]


@pytest.mark.parametrize("lane", keys.LANES)
def test_each_lane_is_a_channel_whose_address_becomes_the_name_of_its_stream(lane: keys.Lane) -> None:
    channel = committed("asyncapi/embedder.json")["channels"][lane]
    parameters = re.findall(r"\{(\w+)\}", channel["address"])

    assert parameters == list(channel["parameters"])
    assert channel["address"].replace("{partition}", channel["parameters"]["partition"]["default"]) == keys.stream(
        0, lane
    )


@pytest.mark.parametrize("lane", keys.LANES)
def test_each_lane_is_received_by_the_group(lane: keys.Lane) -> None:
    document = committed("asyncapi/embedder.json")
    operation = document["operations"][lane]
    channel = resolve(document, operation["channel"]["$ref"])

    assert operation["action"] == "receive"
    assert channel["bindings"]["redis"]["groupName"] == keys.GROUP
    assert [resolve(document, message["$ref"]) for message in operation["messages"]] == list(
        channel["messages"].values()
    )


@pytest.mark.parametrize("lane", keys.LANES)
def test_a_lane_carries_every_event_by_its_schema(lane: keys.Lane) -> None:
    document = committed("asyncapi/embedder.json")
    (message,) = document["channels"][lane]["messages"].values()
    payload = resolve(document, resolve(document, message["$ref"])["payload"]["$ref"])
    carried = [resolve(document, one["$ref"]) for one in payload["oneOf"]]

    published = [committed(f"schemas/{event.model_fields['type'].default}.json") for event in EVENTS]
    assert carried == [
        {name: value for name, value in schema.items() if name not in {"$schema", "$id"}} for schema in published
    ]
    assert payload["discriminator"] == keys.TYPE_FIELD


def test_the_streams_description_is_asyncapi_3() -> None:
    document = committed("asyncapi/embedder.json")

    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(document["info"])
    for kind in document["components"].values():
        assert all(COMPONENT.fullmatch(name) for name in kind)
