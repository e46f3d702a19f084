"""Tables of a run of the everyday cases."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.quality.everyday.verdicts import Figures, Verdict, figures, grouped, relevances


def print_axes(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Print how many passed by axis and by size of the surroundings; return the figures."""
    sizes = sorted({one.size for one in verdicts})
    axes: dict[str, list[Verdict]] = {str(axis): part for axis, part in grouped(verdicts, lambda one: one.axis).items()}
    print(f"\n{'passed/asked':14}{'cases':>6}" + "".join(f"{f'among {size}':>14}" for size in sizes)
          + f"{'all':>12}{'%':>7}{'95% interval':>14}{'order held':>12}")  # fmt: skip
    report: dict[str, Any] = {}
    for axis, part in {**axes, "all": list(verdicts)}.items():
        by_size = {size: figures([one for one in part if one.size == size]) for size in sizes}
        of_all = figures(part)
        report[axis] = {**asdict(of_all), "sizes": {str(size): asdict(one) for size, one in by_size.items()}}
        print(f"{axis:14}{of_all.cases:6}" + "".join(f"{_counts(one):>14}" for one in by_size.values())
              + f"{_counts(of_all):>12}{100 * of_all.passed / of_all.asked:7.1f}"
              + f"{f'{100 * of_all.low:.0f}-{100 * of_all.high:.0f}':>14}"
              + f"{100 * of_all.order_held / of_all.asked:12.1f}")  # fmt: skip
    return report


def print_shapes(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Print how many passed by the shape of the surroundings; return the figures."""
    report = {str(shape): asdict(figures(part)) for shape, part in grouped(verdicts, lambda one: one.shape).items()}
    print("\n" + ", ".join(f"{shape} {one['passed']}/{one['asked']}" for shape, one in report.items()))
    return report


def print_relevances(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Print the relevances of right first hits, and of questions that nothing answers, by size; return them."""
    report: dict[str, Any] = {}
    print(
        f"\n{'first hit':14}{'right':>7}{'median':>8}{'lowest tenth':>14}{'never said':>12}{'highest':>9}{'within':>8}"
    )
    for size, part in sorted(grouped(verdicts, lambda one: one.size).items(), key=lambda item: str(item[0]).zfill(9)):
        one = relevances(part)
        report[str(size)] = asdict(one)
        print(f"{f'among {size}':14}{one.right:7}{_number(one.right_median):>8}{_number(one.right_lowest_tenth):>14}"
              f"{one.never:12}{_number(one.never_highest):>9}{_share(one.never_within):>8}")  # fmt: skip
    return report


def print_failures(verdicts: Sequence[Verdict]) -> None:
    """Print what did not hold, and what came instead; a case's surroundings together."""
    failed = [one for one in verdicts if not one.passed]
    print(f"\n{len(failed)} of {len(verdicts)} failed")
    for (axis, name), part in (
        ((one[0].axis, one[0].name), one) for one in grouped(failed, lambda one: (one.axis, one.name)).values()
    ):
        where = " ".join(f"{one.size}/{one.shape}" for one in part)
        print(f"{axis}/{name}: {part[0].ask}  [{where}]")
        print(f"    {'; '.join(part[-1].complaints)}\n    came: {part[-1].came or 'nothing'}")


def _counts(one: Figures) -> str:
    return f"{one.passed}/{one.asked}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f}%"
