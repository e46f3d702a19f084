"""Strict mode: what an operator forbids to ask of a collection. Of a Qdrant server's rules, those about indexes."""

from collections.abc import Iterable, Iterator

from memstream.local.qdrant.errors import ApiError
from memstream.local.qdrant.indexes import schema_type
from memstream.local.qdrant.json_fields import Json, boolean, optional, strict_object

_READS, _UPDATES = "unindexed_filtering_retrieve", "unindexed_filtering_update"
_FIELDS = ("enabled", _READS, _UPDATES)
_CLAUSES = ("must", "should", "must_not")


def read_strict_mode(value: object, where: str = "strict_mode_config") -> Json:
    """Return the configuration, checked."""
    body = strict_object(value, _FIELDS, where)
    return {name: found for name in _FIELDS if (found := optional(boolean, body, name)) is not None}


def check_reads(record: Json, filters: Iterable[object]) -> None:
    """Raise an error if one of the filters of a read needs an index that the collection lacks, and may not do so."""
    _check(record, filters, _READS)


def check_updates(record: Json, filters: Iterable[object]) -> None:
    """Raise an error if one of the filters of a write needs an index that the collection lacks, and may not do so."""
    _check(record, filters, _UPDATES)


def filters_of(search: Json) -> Iterator[object]:
    """Yield all filters of a query: its own, that of its corpus, and those of its prefetches."""
    yield search.get("filter")
    params = search.get("params")
    if isinstance(params, dict) and isinstance(params.get("idf"), dict):
        yield params["idf"].get("corpus")
    prefetches = search.get("prefetch") or []
    for each in prefetches if isinstance(prefetches, list) else [prefetches]:
        if isinstance(each, dict):
            yield from filters_of(each)


def _check(record: Json, filters: Iterable[object], rule: str) -> None:
    config = record["config"].get("strict_mode_config") or {}
    if not config.get("enabled") or config.get(rule) is not False:
        return
    for each in filters:
        for key, types in _needed(each):
            index = record["indexes"].get(key)
            if types and (index is None or schema_type(index) not in types):
                raise ApiError(
                    400,
                    f'Bad request: Index required but not found for "{key}" of one of the following types: '
                    f"[{', '.join(types)}]. Help: Create an index for this key or use a different filter.",
                )


def _needed(condition: object) -> Iterator[tuple[str, list[str]]]:
    """Yield the keys of a filter or condition, known to be well-formed, with the types that their index may have."""
    if not isinstance(condition, dict):
        return
    if "key" in condition:
        yield condition["key"], _types(condition)
        return
    for name in _CLAUSES:
        clause = condition.get(name) or []
        for each in clause if isinstance(clause, list) else [clause]:
            yield from _needed(each)


def _types(condition: Json) -> list[str]:
    if isinstance(condition.get("range"), dict):
        values = [value for value in condition["range"].values() if value is not None]
        return ["datetime"] if any(isinstance(value, str) for value in values) else ["float", "integer"]
    (wanted,) = (condition.get("match") or {"any": []}).values()
    samples = wanted if isinstance(wanted, list) else [wanted]
    if not samples:
        return []
    if isinstance(samples[0], str):
        return ["keyword"]
    return ["bool"] if isinstance(samples[0], bool) else ["integer"]
