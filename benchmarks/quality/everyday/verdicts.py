"""What held of a case, and the figures of many. Pure."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.everyday.surroundings import PlacedCase
from benchmarks.quality.metrics import wilson
from memstream.contracts.searches import Hit

_SHOWN = 60
"""Characters of a text in a complaint."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What held of a case in its surroundings."""

    axis: str
    name: str
    size: int
    shape: str
    ask: str
    order_held: bool
    relevance_held: bool
    """Whether the relevances are within their bounds."""
    right_relevance: float | None
    """Of the first hit, if it is the right one."""
    never_relevance: float | None
    """Of the first hit, if nothing answers the question; 0 without hits."""
    came: str
    """The first hits, if something did not hold."""
    complaints: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return self.order_held and self.relevance_held


def judge(placed: PlacedCase, hits: Sequence[Hit]) -> Verdict:
    """Return what held of the hits."""
    case = placed.case
    ranks = {hit.message_id: rank for rank, hit in enumerate(hits)}
    order = list(_wrong_order(placed, ranks))
    relevance = list(_wrong_relevance(placed, hits))
    complaints = (*order, *relevance)
    top = hits[0] if hits else None
    is_right = top is not None and top.message_id in {placed.ids[place] for place in case.first}
    return Verdict(
        axis=case.axis,
        name=case.name,
        size=placed.size,
        shape=placed.shape,
        ask=case.ask,
        order_held=not order,
        relevance_held=not relevance,
        right_relevance=top.relevance if top and is_right else None,
        never_relevance=(top.relevance if top else 0.0) if case.most is not None else None,
        came="; ".join(f"{_brief(hit.text)} ({hit.relevance:.2f})" for hit in hits[:2]) if complaints else "",
        complaints=complaints,
    )


def _wrong_order(placed: PlacedCase, ranks: dict[str, int]) -> list[str]:
    case, none = placed.case, len(placed.messages)
    rank = [ranks.get(name, none) for name in placed.ids]
    wrong = []
    if case.first and min(rank[place] for place in case.first) > 0:
        wrong.append(f"not first: {_texts(placed, case.first)}")
    for one, other in case.above:
        if rank[one] >= rank[other]:
            wrong.append(f"not above {_brief(case.said[other].text)}: {_texts(placed, [one])}")
    wrong += [
        f"not among the first {most}: {_texts(placed, [place])}" for place, most in case.found if rank[place] >= most
    ]
    return wrong


def _wrong_relevance(placed: PlacedCase, hits: Sequence[Hit]) -> list[str]:
    case, wrong = placed.case, []
    if case.least is not None:
        expected = {placed.ids[place] for place in case.first}
        best = max((hit.relevance for hit in hits if hit.message_id in expected), default=0.0)
        if best < case.least:
            wrong.append(f"relevance {best:.2f} < {case.least:g}")
    if case.most is not None and hits and hits[0].relevance > case.most:
        wrong.append(f"relevance {hits[0].relevance:.2f} > {case.most:g}")
    return wrong


def _texts(placed: PlacedCase, places: Sequence[int] | frozenset[int]) -> str:
    return " or ".join(_brief(placed.case.said[place].text) for place in sorted(places))


def _brief(text: str) -> str:
    return f'"{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"}"'


@dataclass(frozen=True, slots=True)
class Figures:
    """How many verdicts held."""

    cases: int
    asked: int
    passed: int
    order_held: int
    low: float
    high: float
    """Bounds of the 95% interval of the share that passes: a case counts once, in however many surroundings."""


def figures(verdicts: Sequence[Verdict]) -> Figures:
    """Return the figures of some verdicts."""
    names = len({(one.axis, one.name) for one in verdicts})
    passed = sum(one.passed for one in verdicts)
    low, high = wilson(passed / max(1, len(verdicts)), names)
    return Figures(names, len(verdicts), passed, sum(one.order_held for one in verdicts), low, high)


@dataclass(frozen=True, slots=True)
class Relevances:
    """The relevances of right first hits, and of first hits for questions that nothing answers."""

    right: int
    right_median: float | None
    right_lowest_tenth: float | None
    """One in ten is at this or lower."""
    never: int
    never_highest: float | None
    never_within: float | None
    """The share of those that are at the most relevance that they may have."""


def relevances(verdicts: Sequence[Verdict]) -> Relevances:
    """Return the relevances of some verdicts."""
    right = [one.right_relevance for one in verdicts if one.right_relevance is not None]
    never = [one for one in verdicts if one.never_relevance is not None]
    return Relevances(
        right=len(right),
        right_median=float(np.median(right)) if right else None,
        right_lowest_tenth=float(np.quantile(right, 0.1)) if right else None,
        never=len(never),
        never_highest=max((one.never_relevance or 0.0 for one in never), default=None),
        never_within=float(np.mean([one.relevance_held for one in never])) if never else None,
    )


def grouped(verdicts: Sequence[Verdict], key: Callable[[Verdict], Hashable]) -> dict[Hashable, list[Verdict]]:
    """Return the verdicts by a key, in the order of its first appearance."""
    groups: defaultdict[Hashable, list[Verdict]] = defaultdict(list)
    for one in verdicts:
        groups[key(one)].append(one)
    return dict(groups)
