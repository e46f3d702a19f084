"""The rule by which schemas of events may change."""

import copy
from typing import Any

import pytest
from contract.compatibility import incompatibilities
from hypothesis import given
from hypothesis import strategies as st

ANIMAL: dict[str, Any] = {
    "title": "Animal",
    "type": "object",
    "properties": {
        "type": {"const": "animal.seen.v1", "default": "animal.seen.v1", "type": "string"},
        "name": {"type": "string", "minLength": 1, "maxLength": 80},
        "legs": {"type": "integer", "minimum": 0, "maximum": 8},
        "size": {"enum": ["small", "large"], "type": "string"},
        "nick": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1}},
        "home": {"$ref": "#/$defs/Home"},
        "extra": {"type": "object", "additionalProperties": True},
    },
    "required": ["type", "name"],
    "$defs": {"Home": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
}

Path = tuple[str | int, ...]

NOTHING = object()


def changed(*path: str | int, to: object = NOTHING) -> dict[str, Any]:
    """Copy the schema with what lies at a path replaced, or removed."""
    schema = copy.deepcopy(ANIMAL)
    *way, last = path
    part: Any = schema
    for step in way:
        part = part[step]
    if to is NOTHING:
        del part[last]
    else:
        part[last] = to
    return schema


@pytest.mark.parametrize(
    ("new", "found"),
    [
        (changed("properties", "legs"), "event.legs: the field is gone"),
        (changed("required", to=["type", "name", "legs"]), "event.legs: a known field is required now"),
        (changed("required", to=["type"]), "event.name: the field is not required any more"),
        (changed("properties", "legs", "type", to="number"), "event.legs: type is changed from 'integer' to 'number'"),
        (changed("properties", "size", "enum", to=["small"]), "event.size: enum is narrowed, 'large' is gone"),
        (changed("properties", "size", "enum", to=["small", "large", "huge"]), "event.size: enum is widened by 'huge'"),
        (changed("properties", "size", "enum"), "event.size: enum is gone"),
        (changed("properties", "type", "const", to="animal.seen.v2"), "event.type: const is changed"),
        (changed("properties", "name", "minLength", to=2), "event.name: minLength is tightened, from 1 to 2"),
        (changed("properties", "name", "maxLength", to=79), "event.name: maxLength is tightened, from 80 to 79"),
        (changed("properties", "name", "maxLength", to=81), "event.name: maxLength is loosened, from 80 to 81"),
        (changed("properties", "name", "maxLength"), "event.name: maxLength is loosened, from 80 to None"),
        (changed("properties", "name", "pattern", to="^a"), "event.name: pattern is new: '^a'"),
        (changed("properties", "extra", "minProperties", to=1), "event.extra: minProperties is tightened"),
        (changed("properties", "nick", "default", to="Rex"), "event.nick: default is changed from None to 'Rex'"),
        (changed("properties", "nick", "anyOf", 1), "event.nick: anyOf has 1 alternatives instead of 2"),
        (changed("properties", "nick", "anyOf", 0, "type", to="integer"), "event.nick.anyOf[0]: type is changed"),
        (changed("properties", "tags", "items", "minLength", to=3), "event.tags.items: minLength is tightened"),
        (changed("$defs", "Home", "properties", "city", "type", to="integer"), "event.home.city: type is changed"),
        (changed("additionalProperties", to=False), "event.additionalProperties: not is new"),
        (changed("properties", "legs", "minimum", to=False), "event.legs: minimum is"),
    ],
)
def test_an_incompatible_change_is_found_and_named(new: dict[str, Any], found: str) -> None:
    (only,) = incompatibilities(ANIMAL, new)

    assert only.startswith(found)


def test_a_new_required_field_is_found() -> None:
    new = changed("properties", "age", to={"type": "integer"})
    new["required"].append("age")

    assert incompatibilities(ANIMAL, new) == ["event.age: a new field is required now"]


@pytest.mark.parametrize(
    "new",
    [
        changed("properties", "age", to={"type": "integer"}),
        changed("$defs", "Home", "properties", "street", to={"type": "string", "default": ""}),
        changed("title", to="Beast"),
        changed("properties", "name", "description", to="What it is called."),
        changed("required", to=["name", "type"]),
        changed("properties", "home", to=ANIMAL["$defs"]["Home"]),
    ],
    ids=["optional field", "optional field inside", "title", "description", "order", "reference resolved"],
)
def test_a_change_that_breaks_nobody_passes(new: dict[str, Any]) -> None:
    assert incompatibilities(ANIMAL, new) == []


scalars = st.one_of(
    st.builds(lambda least: {"type": "string", "minLength": least}, st.integers(0, 9)),
    st.builds(lambda most: {"type": "integer", "maximum": most}, st.integers(-9, 9)),
    st.builds(lambda values: {"enum": values}, st.lists(st.text(max_size=3), min_size=1, unique=True)),
)
names = st.text("abcd", min_size=1, max_size=2)


def objects(values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Make schemas of objects; about half of their fields are required."""
    return st.dictionaries(names, st.tuples(values, st.booleans()), min_size=1, max_size=4).map(
        lambda fields: {
            "type": "object",
            "properties": {name: schema for name, (schema, _) in fields.items()},
            "required": [name for name, (_, needed) in fields.items() if needed],
        }
    )


schemas = objects(st.recursive(scalars, objects, max_leaves=6))


@given(schemas)
def test_a_schema_may_take_its_own_place(schema: dict[str, Any]) -> None:
    assert incompatibilities(schema, copy.deepcopy(schema)) == []


@given(schemas, scalars)
def test_any_optional_field_may_be_added(schema: dict[str, Any], added: dict[str, Any]) -> None:
    new = {**schema, "properties": {**schema["properties"], "later": added}}

    assert incompatibilities(schema, new) == []


@given(schemas, st.data())
def test_no_field_may_be_removed(schema: dict[str, Any], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(schema["properties"])))
    new = {
        **schema,
        "properties": {name: field for name, field in schema["properties"].items() if name != gone},
        "required": [name for name in schema["required"] if name != gone],
    }

    assert f"event.{gone}: the field is gone" in incompatibilities(schema, new)
