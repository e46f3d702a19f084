"""The page of quality, and the README's table: what they begin with, and what they say was not reached."""

from typing import Any

import pytest

from benchmarks.quality import left_out, metrics, rendering

ERRORS = {"used_hits": 0.07, "first_hits": None, "sure": 4, "sure_true": 0.75}
CONTEXTS = {"answered": 0.04, "others": 0.8, "swapped": None}
TOLD = {"auroc": 0.9, "false_accepts": 0.2, "swapped_auroc": 0.8, "swapped_false_accepts": 0.3}


def order(value: float, **of_relevance: Any) -> dict[str, Any]:  # noqa: ANN401 - figures
    """Return the figures of an order: all measures have this value."""
    measures = dict.fromkeys(left_out.SHOWN, value)
    return {"measures": measures, "abstention": None, "calibration": None, "contexts": None, **of_relevance}


def fitted(value: float, **of_relevance: Any) -> dict[str, Any]:  # noqa: ANN401 - figures
    """Return the figures of an order that was fitted to the others."""
    return order(value, **{"calibration": ERRORS, "contexts": {**CONTEXTS, "others": None}, **of_relevance})


def by_one_score(value: float) -> dict[str, Any]:
    """Return the figures of two sets in a mode of one score."""
    rows = {"all features": fitted(value, abstention=TOLD, contexts={**CONTEXTS, "answered": value})}
    return {"beam": {"rows": rows}, "xquad": {"rows": {"all features": fitted(value)}}}


def counted(passed: int, asked: int) -> dict[str, Any]:
    """Return so many everyday cases."""
    return {"cases": 5, "asked": asked, "passed": passed, "order_held": asked, "low": 0.5, "high": 0.9}


def report() -> dict[str, Any]:
    """Return a report of two sets."""
    rows = {measure: [0.5, 0.4, 0.6] for measure in metrics.MEASURES}
    hybrid = {
        "calibration_error": 0.06,
        "calibration": ERRORS,
        "categories": {"all": {"questions": 3, **rows}},
        "abstention": None,
    }
    budgets = {
        f"{kind}, {budget}": {"recall": 0.25, "abstained": 0.125, "tokens": 9} for kind in "ab" for budget in "123"
    }
    strangers = {"by a stranger": {"questions": 9, "abstained": 0.5}}
    part = {"calibration_error": 0.01}
    measured = {"hybrid": hybrid, "dense": part, "keyword": part}
    measured["contexts"] = {"questions": 2, **budgets, "strangers": strangers}
    at_size = {"notes": 40, "first": 1.0, "sure": 0.75, "median": 0.6, "lowest_tenth": 0.3}
    at_size |= {"never": 100, "within": 0.96, "highest": 0.2}
    return {
        "place": "a machine",
        "model": "a model",
        "at_most": 2,
        "sets": {"beam": measured},
        "left_out": {
            "beam": {
                "rows": {
                    "all features": fitted(0.4, abstention=TOLD, contexts=CONTEXTS),
                    "without time": fitted(0.1),
                    "BM25 alone": order(0.3),
                    "reciprocal rank fusion": order(0.45),
                }
            },
            "xquad": {
                "rows": {"all features": fitted(0.96), "asked in de": fitted(0.7), "BM25 alone": order(0.9)},
            },
        },
        "left_out_dense": by_one_score(0.2),
        "left_out_keyword": by_one_score(0.3),
        "everyday": {
            "axes": {name: {**counted(7, 10), "sizes": {"20": counted(3, 4)}} for name in ("time", "all")},
            "shapes": {"notes": counted(7, 10)},
        },
        "histories": {"sizes": {"10000": {"notes": at_size}}},
    }


def test_it_begins_with_what_was_not_measured_then_with_what_nothing_was_fitted_to() -> None:
    page = rendering.render(report())

    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings[:4] == [
        "## On data sets that nothing was fitted to",
        "## Everyday questions",
        "## Relevance in histories of many sizes",
        "## By the coefficients in use",
    ]
    assert page.index("**not** measured") < page.index("| beam | recall@5") < page.index(headings[0])
    assert "Measured: a machine; a model." in page


def test_of_each_set_it_shows_the_orders_without_a_fit_beside_it() -> None:
    page = rendering.render(report())

    table = page[page.index("### beam") : page.index("### xquad")]
    assert f"| **fitted to the others** | {' | '.join(['40.0'] * len(left_out.SHOWN))} |" in table
    assert "| BM25 alone | 30.0 |" in table
    assert "without time" not in table
    assert "| asked in de | 70.0 |" in page
    assert "| beam | 0.900 | 20.0% | 0.800 | 30.0% | 0.070 |  | 75.0% of 4 |" in page
    assert "| xquad |  |  |  |  | 0.070 |  | 75.0% of 4 |" in page


@pytest.mark.parametrize(
    "line",
    [
        "| beam | recall@10 ≥ 78 | 40.0 | **no** |",
        "| xquad | recall@1 ≥ 95 | 96.0 | yes |",
        "| xquad | better than each order without a fit | better in all | yes |",
        "| beam | AUROC ≥ 0.97 | 0.900 | **no** |",
        "| beam | error of hits at 0.1 and more ≤ 0.08 | 0.070 | yes |",
        "| everyday, as shipped | hold ≥ 95% | 70.0% | **no** |",
        "| everyday, as shipped | exact notes with a relevance ≥ 0.5, at each size: all | at least 75% | **no** |",
        "| everyday, as shipped | never said, relevance ≤ 0.1, at each size: ≥ 95% | at least 96% | yes |",
        "| beam | contexts that abstain of questions with an answer ≤ 5% | 4.0% | yes |",
        "| beam | contexts that abstain, asked as another user ≥ 85% | 80.0% | **no** |",
        "| beam | recall@10 ≥ 81 | 50.0 (40-60) | **no** |",
        "| beam | calibration error ≤ 0.05 in each mode | 0.060 | **no** |",
    ],
)
def test_it_says_what_was_reached_and_what_was_not(line: str) -> None:
    assert line in rendering.render(report())


def test_an_order_that_needs_no_fit_and_is_better_is_named() -> None:
    page = rendering.render(report())

    assert f"| beam | better than each order without a fit | behind in {', '.join(left_out.SHOWN)} | **no** |" in page


@pytest.mark.parametrize(
    "line",
    [
        "| time | 5 | 3/4 | 70.0 | 50-90 | 100.0 |",
        "| notes | 7 of 10 |",
        "| 10,000, notes | 40 | 100% | 75% | 0.60 | 0.30 | 100 | 96% | 0.20 |",
        "| beam | 12% of 2 | 50% of 9 |  |",
        "| beam | 2 | 25.0%, 12% |",
    ],
)
def test_it_has_the_figures_of_everyday_cases_histories_and_contexts(line: str) -> None:
    assert line in rendering.render(report())


@pytest.mark.parametrize(
    "line",
    [
        "| beam | 4.0% | 80.0% |  |",
        "| xquad, asked in de | 4.0% |  |  |",
        "| beam | hybrid | 40.0 | 0.900 | 0.070 |  | 4.0% | 80.0% |",
        "| beam | keyword | 30.0 | 0.900 | 0.070 |  | 30.0% | 80.0% |",
        "| xquad | dense | 20.0 |  | 0.070 |  | 4.0% |  |",
        "| all features | 40.0 / 40.0 / 40.0 | 96.0 / 96.0 / 96.0 |",
        "| without time | 10.0 / 10.0 / 10.0 |  |",
        "| BM25 alone | 30.0 / 30.0 / 30.0 | 90.0 / 90.0 / 90.0 |",
    ],
)
def test_out_of_set_it_has_abstention_modes_and_what_each_feature_adds(line: str) -> None:
    page = rendering.render(report())

    assert line in page[: page.index("## Everyday questions")]


def test_what_several_runs_have_written_is_one_report() -> None:
    first, second = {"place": "here", "sets": 1, "left_out": 2}, {"place": "there", "left_out": 3}

    assert rendering.together([first, second]) == {"place": "here; and there", "sets": 1, "left_out": 3}


def test_without_all_figures_there_is_no_page() -> None:
    with pytest.raises(rendering.MissingError, match="everyday, histories"):
        rendering.render({name: {} for name in ("sets", "left_out", "left_out_dense", "left_out_keyword")})


def test_the_readmes_table_is_put_in_its_place() -> None:
    place = "<!-- quality: written by python -m benchmarks.quality.rendering -->\n{}\n<!-- end of quality -->"
    readme = f"Before.\n{place.format('old')}\nAfter.\n"

    written = rendering.with_figures(readme, report())

    assert written.startswith("Before.\n<!-- quality")
    assert written.endswith("<!-- end of quality -->\nAfter.\n")
    assert "| beam | 40.0 | 40.0 | 40.0 | 40.0 | 45.0 / 45.0 / 45.0 / 45.0 | 0.900 |" in written
    assert "Of 5 everyday cases, each in several surroundings, 70.0% hold." in written
    assert rendering.with_figures(written, report()) == written
    with pytest.raises(rendering.MissingError, match="no place"):
        rendering.with_figures("Before.", report())
