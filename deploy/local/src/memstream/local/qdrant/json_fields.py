"""Strict readers for JSON bodies: each returns the typed value, or raises an error that names the field."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar
from uuid import UUID

from memstream.local.qdrant.errors import invalid, malformed

Json = dict[str, Any]
PointId = int | str | UUID

_T = TypeVar("_T")
_ID_LIMIT = 2**64


def json_object(value: object, where: str) -> Json:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise malformed(f"`{where}` must be an object")
    return value


def strict_object(value: object, allowed: Collection[str], where: str) -> Json:
    """Return a JSON object that has none but the ``allowed`` fields."""
    body = json_object(value, where)
    for name in body:
        if name not in allowed:
            expected = ", ".join(f"`{each}`" for each in sorted(allowed))
            raise malformed(f"unknown field `{name}` in `{where}`, the embedded Qdrant takes {expected}")
    return body


def single_field(value: object, allowed: Collection[str], where: str) -> tuple[str, object]:
    """Return the name and the value of the only field of an object; it must be one of the ``allowed``."""
    body = strict_object(value, allowed, where)
    if len(body) != 1:
        raise malformed(f"`{where}` must have exactly one of {', '.join(f'`{each}`' for each in allowed)}")
    return next(iter(body.items()))


def required(body: Json, name: str, where: str) -> object:
    """Return a field that must be present and not null."""
    value: object = body.get(name)
    if value is None:
        raise malformed(f"missing field `{name}` in `{where}`")
    return value


def array(value: object, where: str) -> list[Any]:
    """Return a JSON array."""
    if not isinstance(value, list):
        raise malformed(f"`{where}` must be a list")
    return value


def one_or_many(value: object, where: str) -> list[Any]:
    """Return an array; a single object counts as an array of one, null as an empty one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [json_object(value, where)]


def string(value: object, where: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        raise malformed(f"`{where}` must be a string")
    return value


def strings(value: object, where: str) -> list[str]:
    """Return an array of strings."""
    return [string(each, where) for each in array(value, where)]


def integer(value: object, where: str, minimum: int = 0) -> int:
    """Return an integer of at least ``minimum``."""
    if type(value) is not int:
        raise malformed(f"`{where}` must be an integer")
    if value < minimum:
        raise invalid(where, f"value {value} invalid, must be {minimum} or larger")
    if value >= _ID_LIMIT:
        raise malformed(f"`{where}` is too large")
    return value


def number(value: object, where: str) -> float:
    """Return a number."""
    if type(value) not in (int, float):
        raise malformed(f"`{where}` must be a number")
    return float(value)  # type: ignore[arg-type] # narrowed by the line above


def boolean(value: object, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise malformed(f"`{where}` must be true or false")
    return value


def optional(read: Callable[[object, str], _T], body: Json, name: str) -> _T | None:
    """Return a field read by ``read``, or None if it is missing or null."""
    value = body.get(name)
    return None if value is None else read(value, name)


def choice(value: object, options: dict[str, _T], where: str) -> _T:
    """Return what one of a fixed set of words stands for."""
    if isinstance(value, str) and value in options:
        return options[value]
    expected = ", ".join(f"`{each}`" for each in options)
    raise malformed(f"unknown variant `{value}` for `{where}`, the embedded Qdrant takes {expected}")


def point_id(value: object, where: str) -> PointId:
    """Return a point id: an unsigned 64-bit integer, or a UUID in its canonical spelling, however it was spelled."""
    if type(value) is int and 0 <= value < _ID_LIMIT:
        return value
    if isinstance(value, str):
        try:
            return str(UUID(value))
        except ValueError as error:
            raise malformed(f"`{where}`: {value} is not a valid point id, it must be a UUID or an integer") from error
    raise malformed(f"`{where}`: {value!r} is not a valid point id, it must be a UUID or an unsigned integer")


def point_ids(value: object, where: str) -> list[PointId]:
    """Return an array of point ids."""
    return [point_id(each, where) for each in array(value, where)]
