"""Formulas that rescore candidates: Qdrant's expression language, from JSON to the engine's."""

from collections.abc import Callable

import qdrant_edge as qe

from memstream.local.qdrant.fields import Json, known, listing, number, optional, required, table, text
from memstream.local.qdrant.filters import read_condition, read_geo_point
from memstream.local.qdrant.refusals import malformed

Expression = qe.Expression
_DECAY = ("x", "target", "scale", "midpoint")


def read_formula(body: Json, where: str) -> qe.Formula:
    """Translate ``{"formula": expression, "defaults": {...}}``."""
    known(body, ("formula", "defaults"), where)
    defaults = table(body.get("defaults") or {}, f"{where}.defaults")
    return qe.Formula(read_expression(required(body, "formula", where), f"{where}.formula"), defaults)


def read_expression(value: object, where: str) -> Expression:
    """Translate a number, a payload key, ``$score``, a function, or a condition, which counts 1 if it holds, else 0."""
    if isinstance(value, bool):
        raise malformed(f"`{where}` must be a number, a key, a function or a condition")
    if isinstance(value, (int, float)):
        return Expression.Constant(float(value))
    if isinstance(value, str):
        return Expression.Variable(value)
    body = table(value, where)
    for name, read in _FUNCTIONS.items():
        if name in body:
            known(body, (name,), where)
            return read(body[name], f"{where}.{name}")
    return Expression.Condition(read_condition(body, where))


def _many(value: object, where: str) -> list[Expression]:
    return [read_expression(each, f"{where}[{index}]") for index, each in enumerate(listing(value, where))]


def _div(value: object, where: str) -> Expression:
    body = known(value, ("left", "right", "by_zero_default"), where)
    return Expression.Div(
        read_expression(required(body, "left", where), f"{where}.left"),
        read_expression(required(body, "right", where), f"{where}.right"),
        optional(number, body, "by_zero_default"),
    )


def _pow(value: object, where: str) -> Expression:
    body = known(value, ("base", "exponent"), where)
    return Expression.Pow(
        read_expression(required(body, "base", where), f"{where}.base"),
        read_expression(required(body, "exponent", where), f"{where}.exponent"),
    )


def _distance(value: object, where: str) -> Expression:
    body = known(value, ("origin", "to"), where)
    origin = read_geo_point(required(body, "origin", where), f"{where}.origin")
    return Expression.GeoDistance(origin, text(required(body, "to", where), f"{where}.to"))


def _decay(kind: qe.DecayKind) -> Callable[[object, str], Expression]:
    def read(value: object, where: str) -> Expression:
        body = known(value, _DECAY, where)
        x = read_expression(required(body, "x", where), f"{where}.x")
        target = optional(read_expression, body, "target")
        return Expression.Decay(kind, x, target, optional(number, body, "midpoint"), optional(number, body, "scale"))

    return read


_FUNCTIONS: dict[str, Callable[[object, str], Expression]] = {
    "mult": lambda value, where: Expression.Mult(_many(value, where)),
    "sum": lambda value, where: Expression.Sum(_many(value, where)),
    "max": lambda value, where: Expression.Max(_many(value, where)),
    "min": lambda value, where: Expression.Min(_many(value, where)),
    "neg": lambda value, where: Expression.Neg(read_expression(value, where)),
    "abs": lambda value, where: Expression.Abs(read_expression(value, where)),
    "sqrt": lambda value, where: Expression.Sqrt(read_expression(value, where)),
    "exp": lambda value, where: Expression.Exp(read_expression(value, where)),
    "log10": lambda value, where: Expression.Log10(read_expression(value, where)),
    "ln": lambda value, where: Expression.Ln(read_expression(value, where)),
    "acosh": lambda value, where: Expression.Acosh(read_expression(value, where)),
    "div": _div,
    "pow": _pow,
    "geo_distance": _distance,
    "datetime": lambda value, where: Expression.Datetime(text(value, where)),
    "datetime_key": lambda value, where: Expression.DatetimeKey(text(value, where)),
    "lin_decay": _decay(qe.DecayKind.Lin),
    "exp_decay": _decay(qe.DecayKind.Exp),
    "gauss_decay": _decay(qe.DecayKind.Gauss),
}
