"""The kinds of query: nearest, recommend, discover, context, fusion, formula, order, sample and the rest."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import qdrant_edge as qe

from memstream.local.qdrant.aims import Aim
from memstream.local.qdrant.documents import is_document
from memstream.local.qdrant.expressions import read_formula
from memstream.local.qdrant.fields import (
    Json,
    choice,
    integer,
    known,
    listing,
    number,
    optional,
    point_id,
    required,
    table,
    text,
)
from memstream.local.qdrant.refusals import invalid, malformed, wrong

Scoring: TypeAlias = "qe.ScoringQueryType"
_RRF_K = 2  # Qdrant's default
_VECTOR_FIELDS = ("indices", "values", "image", "object")
_DIRECTIONS = {"asc": qe.Direction.Asc, "desc": qe.Direction.Desc}


def read_kind(value: object, aim: Aim, where: str) -> Scoring:
    """Translate a query: a vector, an id or a text to be near to, or an object with one of Qdrant's kinds of query."""
    if isinstance(value, (list, int, str)) or is_document(value) or _is_vector(value):
        return _nearest_to(value, aim, where)
    body = table(value, where)
    for name, read in _KINDS.items():
        if name in body:
            return read(body, aim, where)
    raise malformed(f"`{where}` is no known kind of query: expected a vector, an id or one of {', '.join(_KINDS)}")


def _is_vector(value: object) -> bool:
    return isinstance(value, dict) and any(name in value for name in _VECTOR_FIELDS)


def _target(value: object, aim: Aim, where: str) -> qe.NamedVector:
    if isinstance(value, (int, str)):
        value = point_id(value, where)
    aim.layout.check(aim.using)
    return aim.vector(value, where)


def _nearest_to(value: object, aim: Aim, where: str) -> Scoring:
    vector = _target(value, aim, where)
    try:
        return qe.Query.Nearest(vector, using=aim.using)
    except (TypeError, ValueError) as error:
        raise malformed(f"`{where}` has a value that is no number where a vector should be") from error


def _nearest(body: Json, aim: Aim, where: str) -> Scoring:
    known(body, ("nearest", "mmr"), where)
    inner = required(body, "nearest", where)
    if body.get("mmr") is None:
        return _nearest_to(inner, aim, f"{where}.nearest")
    mmr = known(body["mmr"], ("diversity", "candidates_limit"), f"{where}.mmr")
    diversity = optional(number, mmr, "diversity")
    candidates = optional(integer, mmr, "candidates_limit")
    vector = _target(inner, aim, f"{where}.nearest")
    relevance = 0.5 if diversity is None else 1.0 - diversity
    return qe.Mmr(vector, relevance, aim.limit if candidates is None else candidates, aim.using)


def _targets(body: Json, name: str, aim: Aim, where: str) -> list[qe.NamedVector]:
    rows = listing(body.get(name) or [], f"{where}.{name}")
    return [_target(each, aim, f"{where}.{name}[{index}]") for index, each in enumerate(rows)]


def _recommend(body: Json, aim: Aim, where: str) -> Scoring:
    at = f"{where}.recommend"
    inner = known(known(body, ("recommend",), where)["recommend"], ("positive", "negative", "strategy"), at)
    positives, negatives = _targets(inner, "positive", aim, at), _targets(inner, "negative", aim, at)
    strategy = inner.get("strategy") or "average_vector"
    if strategy == "average_vector":
        if not positives:
            raise wrong("at least one positive vector is needed for `average_vector`")
        return qe.Query.Nearest(_average(positives, negatives), using=aim.using)
    if not positives and not negatives:
        raise wrong("at least one positive or negative vector is needed")
    build = choice(
        strategy,
        {"best_score": qe.Query.RecommendBestScore, "sum_scores": qe.Query.RecommendSumScores},
        f"{at}.strategy",
    )
    return build(qe.RecommendQuery(positives, negatives), using=aim.using)


def _average(positives: list[Any], negatives: list[Any]) -> list[float]:
    """Return mean positive + mean positive - mean negative, as Qdrant does for dense vectors."""
    if not all(isinstance(each, list) and each and not isinstance(each[0], list) for each in positives + negatives):
        raise wrong("`average_vector` works here on plain dense vectors only: use `best_score` or `sum_scores`")
    mean = np.asarray(positives, dtype=np.float32).mean(axis=0)
    if negatives:
        mean = mean + mean - np.asarray(negatives, dtype=np.float32).mean(axis=0)
    average: list[float] = mean.tolist()
    return average


def _pairs(value: object, aim: Aim, where: str) -> list[qe.ContextPair]:
    rows = [] if value is None else value if isinstance(value, list) else [value]
    pairs: list[qe.ContextPair] = []
    for index, each in enumerate(rows):
        at = f"{where}[{index}]"
        pair = known(each, ("positive", "negative"), at)
        positive, negative = (_target(required(pair, name, at), aim, at) for name in ("positive", "negative"))
        pairs.append(qe.ContextPair(positive, negative))
    return pairs


def _discover(body: Json, aim: Aim, where: str) -> Scoring:
    at = f"{where}.discover"
    inner = known(known(body, ("discover",), where)["discover"], ("target", "context"), at)
    target = _target(required(inner, "target", at), aim, f"{at}.target")
    return qe.Query.Discover(
        qe.DiscoverQuery(target, _pairs(inner.get("context"), aim, f"{at}.context")), using=aim.using
    )


def _context(body: Json, aim: Aim, where: str) -> Scoring:
    pairs = _pairs(known(body, ("context",), where)["context"], aim, f"{where}.context")
    return qe.Query.Context(qe.ContextQuery(pairs), using=aim.using)


def read_order(value: object, where: str) -> qe.OrderBy:
    """Translate an order: a payload key, or ``{"key", "direction", "start_from"}``."""
    if isinstance(value, str):
        return qe.OrderBy(value)
    body = known(value, ("key", "direction", "start_from"), where)
    direction, start = body.get("direction"), body.get("start_from")
    if start is not None and (isinstance(start, bool) or not isinstance(start, (int, float, str))):
        raise malformed(f"`{where}.start_from` must be a number or a time")
    return qe.OrderBy(
        text(required(body, "key", where), f"{where}.key"),
        None if direction is None else choice(direction, _DIRECTIONS, f"{where}.direction"),
        start,
    )


def _order(body: Json, _aim: Aim, where: str) -> Scoring:
    return read_order(known(body, ("order_by",), where)["order_by"], f"{where}.order_by")


def _rrf(k: int, weights: list[float] | None) -> Scoring:
    fusion: Scoring = qe.Fusion.Rrf(k=k, weights=weights)  # type: ignore[assignment] # the stub does not derive it from Fusion
    return fusion


def _fusion(body: Json, _aim: Aim, where: str) -> Scoring:
    name = known(body, ("fusion",), where)["fusion"]
    if choice(name, {"rrf": True, "dbsf": False}, f"{where}.fusion"):
        return _rrf(_RRF_K, None)
    dbsf: Scoring = qe.Fusion.Dbsf()  # type: ignore[assignment] # the stub does not derive it from Fusion
    return dbsf


def _weighted(body: Json, _aim: Aim, where: str) -> Scoring:
    inner = known(known(body, ("rrf",), where)["rrf"], ("k", "weights"), f"{where}.rrf")
    k = inner.get("k")
    weights = inner.get("weights")
    return _rrf(
        _RRF_K if k is None else integer(k, f"{where}.rrf.k", 1),
        None if weights is None else [number(each, f"{where}.rrf.weights") for each in listing(weights, where)],
    )


def _formula(body: Json, _aim: Aim, where: str) -> Scoring:
    return read_formula(body, where)


def _sample(body: Json, _aim: Aim, where: str) -> Scoring:
    return choice(known(body, ("sample",), where)["sample"], {"random": qe.Sample.Random}, f"{where}.sample")


def _feedback(body: Json, aim: Aim, where: str) -> Scoring:
    at = f"{where}.relevance_feedback"
    inner = known(
        known(body, ("relevance_feedback",), where)["relevance_feedback"], ("target", "feedback", "strategy"), at
    )
    items = []
    for each in listing(required(inner, "feedback", at), at):
        item = known(each, ("example", "score"), f"{at}.feedback")
        vector = _target(required(item, "example", at), aim, f"{at}.feedback.example")
        items.append(qe.FeedbackItem(vector, number(required(item, "score", at), f"{at}.feedback.score")))
    strategy = known(required(inner, "strategy", at), ("naive",), f"{at}.strategy")
    naive = known(required(strategy, "naive", at), ("a", "b", "c"), f"{at}.strategy.naive")
    a, b, c = (number(required(naive, name, at), name) for name in ("a", "b", "c"))
    target = _target(required(inner, "target", at), aim, f"{at}.target")
    query = qe.FeedbackNaiveQuery(target, items, qe.NaiveFeedbackStrategy(a, b, c))
    return qe.Query.FeedbackNaive(query, using=aim.using)


def _full_text(body: Json, aim: Aim, where: str) -> Scoring:
    value = known(body, ("text",), where)["text"]
    if not aim.using:
        raise invalid(f"{where}.text", "`using` must name the payload field")
    if isinstance(value, str):
        return qe.TextQuery(aim.using, value)
    inner = known(value, ("query", "scoring"), f"{where}.text")
    scoring = inner.get("scoring")
    params = None
    if scoring is not None:
        bm25 = known(known(scoring, ("bm25",), where).get("bm25") or {}, ("k", "b"), f"{where}.text.scoring.bm25")
        params = qe.Bm25Params(optional(number, bm25, "k"), optional(number, bm25, "b"))
    return qe.TextQuery(aim.using, text(required(inner, "query", where), f"{where}.text.query"), params)


_KINDS: dict[str, Callable[[Json, Aim, str], Scoring]] = {
    "nearest": _nearest,
    "recommend": _recommend,
    "discover": _discover,
    "context": _context,
    "order_by": _order,
    "fusion": _fusion,
    "rrf": _weighted,
    "formula": _formula,
    "sample": _sample,
    "relevance_feedback": _feedback,
    "text": _full_text,
}
