"""Whether a JSON Schema of an event may take the place of an earlier one. Pure.

Producers and consumers of several releases run at the same time, so a schema is held to both: what an old producer
writes must fit the new schema, and what a new producer writes must fit the old one. One change passes: a new optional
field, which old consumers ignore. Anything else is a new version of the event.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_ANNOTATIONS = frozenset({"$schema", "$id", "$defs", "title", "description", "examples", "deprecated"})
"""They say something about a value, and nothing about what it may be."""

_STRUCTURE = frozenset({"properties", "required", "items", "additionalProperties", "anyOf", "oneOf", "allOf", "$ref"})

_LOWER_BOUNDS = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_UPPER_BOUNDS = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """List what makes `new` another contract than `old`, each with its place; empty when it may take its place."""
    return list(_compare(_Document(old, old), _Document(new, new), "event"))


class _Document:
    """A part of a schema, within the whole that its references point into."""

    def __init__(self, part: Any, whole: Schema) -> None:  # noqa: ANN401 - a schema may be a boolean too
        while isinstance(part, Mapping) and "$ref" in part:
            target: Any = whole
            for step in part["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            part = {**target, **{name: value for name, value in part.items() if name != "$ref"}}
        self.part: Schema = part if isinstance(part, Mapping) else {} if part else {"not": {}}
        self._whole = whole

    def at(self, keyword: str) -> "_Document":
        """Go into a keyword's schema; what is not written allows anything."""
        return _Document(self.part.get(keyword, True), self._whole)

    def members(self, keyword: str) -> "list[_Document]":
        """Go into each schema of a list."""
        return [_Document(part, self._whole) for part in self.part.get(keyword, ())]

    def fields(self) -> "dict[str, _Document]":
        """Go into each field."""
        return {name: _Document(part, self._whole) for name, part in self.part.get("properties", {}).items()}


def _compare(old: _Document, new: _Document, place: str) -> Iterator[str]:
    yield from _compare_rules(old.part, new.part, place)
    yield from _compare_fields(old, new, place)
    for keyword in ("items", "additionalProperties"):
        if keyword in old.part or keyword in new.part:
            yield from _compare(old.at(keyword), new.at(keyword), f"{place}.{keyword}")
    for keyword in ("anyOf", "oneOf", "allOf"):
        before, after = old.members(keyword), new.members(keyword)
        if len(before) != len(after):
            yield f"{place}: {keyword} has {len(after)} alternatives instead of {len(before)}"
        for index, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from _compare(one, other, f"{place}.{keyword}[{index}]")


def _compare_rules(old: Schema, new: Schema, place: str) -> Iterator[str]:
    for keyword in sorted({*old, *new} - _ANNOTATIONS - _STRUCTURE):
        before, after = old.get(keyword), new.get(keyword)
        if keyword in old and keyword in new and _same(before, after):
            continue
        if keyword == "enum" and keyword in old and keyword in new:
            yield from _compare_values(before, after, place)
        elif keyword in _LOWER_BOUNDS | _UPPER_BOUNDS:
            yield f"{place}: {keyword} is {_bound_change(keyword, before, after)}, from {before} to {after}"
        elif keyword not in old:
            yield f"{place}: {keyword} is new: {after!r}"
        elif keyword not in new:
            yield f"{place}: {keyword} is gone, it was {before!r}"
        else:
            yield f"{place}: {keyword} is changed from {before!r} to {after!r}"


def _same(one: object, other: object) -> bool:
    # Python takes True for 1; JSON doesn't.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _compare_values(before: Any, after: Any, place: str) -> Iterator[str]:  # noqa: ANN401 - the values of two enums
    for value in before:
        if value not in after:
            yield f"{place}: enum is narrowed, {value!r} is gone"
    for value in after:
        if value not in before:
            yield f"{place}: enum is widened by {value!r}, which old consumers refuse"


def _bound_change(keyword: str, before: float | None, after: float | None) -> str:
    if before is None:
        return "tightened"
    if after is None:
        return "loosened"
    return "tightened" if (after > before) == (keyword in _LOWER_BOUNDS) else "loosened"


def _compare_fields(old: _Document, new: _Document, place: str) -> Iterator[str]:
    before, after = old.fields(), new.fields()
    needed_before, needed_after = set(old.part.get("required", ())), set(new.part.get("required", ()))
    for name, field in before.items():
        if name not in after:
            yield f"{place}.{name}: the field is gone"
        else:
            yield from _compare(field, after[name], f"{place}.{name}")
    for name in sorted(needed_after - needed_before):
        yield f"{place}.{name}: a {'new' if name not in before else 'known'} field is required now"
    for name in sorted(needed_before - needed_after):
        yield f"{place}.{name}: the field is not required any more, and old consumers count on it"
