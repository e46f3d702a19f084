"""Strict reading of JSON bodies: every reader returns the typed value or refuses, naming the field."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar
from uuid import UUID

from memstream.local.qdrant.refusals import invalid, malformed, unsupported

Json = dict[str, Any]
PointId = int | str | UUID

_T = TypeVar("_T")
_MAX_ID = 2**64


def table(value: object, where: str) -> Json:
    """Read a JSON object."""
    if not isinstance(value, dict):
        raise malformed(f"`{where}` must be an object")
    return value


def known(value: object, allowed: Collection[str], where: str) -> Json:
    """Read a JSON object that has no other fields than the ``allowed`` ones."""
    body = table(value, where)
    for name in body:
        if name not in allowed:
            expected = ", ".join(f"`{each}`" for each in sorted(allowed))
            raise malformed(f"unknown field `{name}` in `{where}`, expected one of {expected}")
    return body


def required(body: Json, name: str, where: str) -> object:
    """Return a field that must be there and not be null."""
    value: object = body.get(name)
    if value is None:
        raise malformed(f"missing field `{name}` in `{where}`")
    return value


def listing(value: object, where: str) -> list[Any]:
    """Read a JSON array."""
    if not isinstance(value, list):
        raise malformed(f"`{where}` must be a list")
    return value


def one_or_many(value: object, where: str) -> list[Any]:
    """Read an array, or a single value as an array of one; null is an empty one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [table(value, where)]


def text(value: object, where: str) -> str:
    """Read a string."""
    if not isinstance(value, str):
        raise malformed(f"`{where}` must be a string")
    return value


def texts(value: object, where: str) -> list[str]:
    """Read an array of strings."""
    return [text(each, where) for each in listing(value, where)]


def integer(value: object, where: str, least: int = 0) -> int:
    """Read a whole number that is no smaller than ``least``."""
    if type(value) is not int:
        raise malformed(f"`{where}` must be an integer")
    if value < least:
        raise invalid(where, f"value {value} invalid, must be {least} or larger")
    if value >= _MAX_ID:
        raise malformed(f"`{where}` is too large")
    return value


def number(value: object, where: str) -> float:
    """Read a number."""
    if type(value) not in (int, float):
        raise malformed(f"`{where}` must be a number")
    return float(value)  # type: ignore[arg-type] # narrowed by the line above


def flag(value: object, where: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise malformed(f"`{where}` must be true or false")
    return value


def optional(read: Callable[[object, str], _T], body: Json, name: str) -> _T | None:
    """Read a field that may be missing or null."""
    value = body.get(name)
    return None if value is None else read(value, name)


def choice(value: object, options: dict[str, _T], where: str) -> _T:
    """Read one of a fixed set of words and return what it stands for."""
    if isinstance(value, str) and value in options:
        return options[value]
    expected = ", ".join(f"`{each}`" for each in options)
    raise malformed(f"unknown variant `{value}` for `{where}`, expected one of {expected}")


def point_id(value: object, where: str) -> PointId:
    """Read a point id: an unsigned 64-bit integer, or a UUID in any common spelling, returned in the canonical one."""
    if type(value) is int and 0 <= value < _MAX_ID:
        return value
    if isinstance(value, str):
        try:
            return str(UUID(value))
        except ValueError as error:
            raise malformed(f"`{where}`: {value} is not a valid point id, it must be a UUID or an integer") from error
    raise malformed(f"`{where}`: {value!r} is not a valid point id, it must be a UUID or an unsigned integer")


def point_ids(value: object, where: str) -> list[PointId]:
    """Read an array of point ids."""
    return [point_id(each, where) for each in listing(value, where)]


def no_shards(body: Json) -> None:
    """Refuse a shard key: there are no shards here to choose from."""
    if body.get("shard_key") is not None:
        raise unsupported("`shard_key`, there is one shard")
