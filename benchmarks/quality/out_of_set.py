"""Renders what was measured outside the data that anything was fitted to: of other sets, everyday, of long histories.

These are the figures that say something about anybody else, so they lead the page, and the README has them too.
"""

from collections.abc import Iterator, Sequence

from benchmarks.quality.everyday.histories import LEAST, MOST
from benchmarks.quality.left_out import ALL_FEATURES, LEFT_OUT, SHOWN, WITHOUT
from benchmarks.quality.markdown import Figures, number, percent, share, table, verdict
from benchmarks.quality.sets import ACROSS

FITTED = "fitted to the others"

USED = ("error of hits at 0.1 and more", "error of first hits", "true of hits over 0.7")
_STRANGERS = ("AUROC", "false accepts", "AUROC, names swapped", "false accepts, names swapped")
_ABSTAINED = ("questions with an answer", "asked as another user", "with that user's names")
_BRIEFLY = ("recall@5", "recall@10", "MRR@10", "nDCG@10")
_ABLATED = ("recall@5", "recall@10", "nDCG@10")
_SHORTLY = (
    "Quality of retrieval, each data set by an order and a relevance that were fitted to the others; AUROC of the best "
    "hit's relevance, questions with an answer against the same asked as another user:"
)
_ALONE = "the best order without a fit"
_WANTED = (
    ("locomo", "recall@5", 0.71),
    ("locomo", "recall@10", 0.81),
    ("locomo", "MRR@10", 0.61),
    ("beam", "recall@5", 0.68),
    ("beam", "recall@10", 0.78),
    ("scifact", "nDCG@10", 0.705),
    ("qmsum", "hit@1", 0.55),
    ("xquad", "recall@1", 0.95),
    ("xquad-de", "recall@1", 0.85),
    ("xquad-es", "recall@1", 0.85),
    ("xquad-zh", "recall@1", 0.80),
)
_LEAST_AUROC, _LEAST_SWAPPED_AUROC = 0.97, 0.93
_MOST_ACCEPTS, _MOST_ERROR = 0.15, 0.08
_LEAST_EVERYDAY, _LEAST_WITHIN = 0.95, 0.95
_MOST_ABSTAINED, _LEAST_ABSTAINED = 0.05, 0.85
"""Of contexts of questions that have an answer, and of those asked as another user."""


def targets(report: Figures) -> str:
    """Return what was aimed at, and whether it was reached."""
    left_out = report["left_out"]
    rows = [*_of_orders(left_out), *_of_relevances(left_out), *_of_contexts(left_out), *_of_everyday(report)]
    return table(["", "target", "measured", "met"], rows)


def sets(left_out: Figures) -> str:
    """Return a table for each set, by what was fitted to the others, beside orders that need no fit."""
    return "\n\n".join(f"### {name}\n\n{table(['', *SHOWN], _orders(one['rows']))}" for name, one in left_out.items())


def relevances(left_out: Figures) -> str:
    """Return how well the relevance of each set tells answers from none, and how far it is from the truth."""
    return table(["", *_STRANGERS, *USED], _relevances(left_out))


def contexts(left_out: Figures) -> str:
    """Return the shares of contexts that would abstain, of questions with an answer and without one, for each set."""
    return table(["", *_ABSTAINED], ([label, *_abstaining(row["contexts"])] for label, row in _fitted(left_out)))


def modes(report: Figures) -> str:
    """Return how good the order and the relevance are in each mode, for each set."""
    head = ["", "mode", "nDCG@10", "AUROC", *USED[:2], "abstain with an answer", "abstain asked as another user"]
    return table(head, _modes(report))


def ablation(left_out: Figures) -> str:
    """Return what the order is worth without each feature, and without a fit, for each set."""
    labels = dict.fromkeys(label for one in left_out.values() for label in one["rows"] if not label.startswith(ACROSS))
    return table(
        ["", *left_out], ([label, *(_ablated(one["rows"].get(label)) for one in left_out.values())] for label in labels)
    )


def contexts_in_use(found: Figures) -> str:
    """Return the shares of contexts of the running services that abstain, by the coefficients in use."""
    return table(["", *_ABSTAINED], _contexts(found))


def everyday(figures: Figures) -> str:
    """Return how many everyday cases hold, by axis and size, and by the shape of what is around them."""
    axes = figures["axes"]
    sizes = list(axes["all"]["sizes"])
    head = ["", "cases", *(f"among {size}" for size in sizes), "all", "95% interval", "order alone"]
    by_axis = table(head, (_axis(name, one, sizes) for name, one in axes.items()))
    by_shape = table(
        ["", "hold"], ([name, f"{one['passed']} of {one['asked']}"] for name, one in figures["shapes"].items())
    )
    return f"{by_axis}\n\n{by_shape}"


def histories(figures: Figures) -> str:
    """Return the relevances of exactly answering notes, and of what was never said, by the size of the history."""
    head = ["messages", "notes", "first hit", f"relevance ≥ {LEAST}", "median", "lowest tenth"]
    head += ["never said", f"all hits ≤ {MOST}", "highest"]
    return table(head, _histories(figures["sizes"]))


def in_short(report: Figures) -> str:
    """Return what the README says: a sentence, a table and a sentence."""
    rows = table(["", *_BRIEFLY, _ALONE, "AUROC"], _in_short(report["left_out"]))
    return f"{_SHORTLY}\n\n{rows}\n\n{_sentence(report)}"


def used(calibration: Figures) -> list[str]:
    """Return the cells of `USED`."""
    true = calibration["sure_true"]
    sure = "" if true is None else f"{share(true)}% of {calibration['sure']}"
    return [number(calibration["used_hits"]), number(calibration["first_hits"]), sure]


def _orders(rows: Figures) -> Iterator[list[str]]:
    for label, row in rows.items():
        if not label.startswith(WITHOUT):
            name = f"**{FITTED}**" if label == ALL_FEATURES else label
            yield [name, *(share(row["measures"][measure]) for measure in SHOWN)]


def _fitted(left_out: Figures) -> Iterator[tuple[str, Figures]]:
    """Yield what was fitted to the others with all features: of each set, and of the languages it is asked in."""
    for name, one in left_out.items():
        for label, row in one["rows"].items():
            if label == ALL_FEATURES or label.startswith(ACROSS):
                yield (name if label == ALL_FEATURES else f"{name}, {label}"), row


def _relevances(left_out: Figures) -> Iterator[list[str]]:
    for label, row in _fitted(left_out):
        cells = _told(row["abstention"]) if row["abstention"] else [""] * len(_STRANGERS)
        yield [label, *cells, *used(row["calibration"])]


def _modes(report: Figures) -> Iterator[list[str]]:
    for name in report["left_out"]:
        for mode, part in LEFT_OUT.items():
            row = report[part][name]["rows"][ALL_FEATURES]
            told = row["abstention"]
            yield [
                name,
                mode,
                share(row["measures"]["nDCG@10"]),
                number(told["auroc"]) if told else "",
                *used(row["calibration"])[:2],
                *_abstaining(row["contexts"])[:2],
            ]


def _ablated(row: Figures | None) -> str:
    return "" if row is None else " / ".join(share(row["measures"][measure]) for measure in _ABLATED)


def _abstaining(contexts: Figures) -> list[str]:
    values = (contexts[name] for name in ("answered", "others", "swapped"))
    return ["" if value is None else f"{share(value)}%" for value in values]


def _told(abstention: Figures) -> list[str]:
    swapped = abstention["swapped_false_accepts"]
    return [
        number(abstention["auroc"]),
        f"{share(abstention['false_accepts'])}%",
        number(abstention["swapped_auroc"]),
        "" if swapped is None else f"{share(swapped)}%",
    ]


def _abstained(one: Figures) -> float:
    """Return the share of contexts of questions with an answer that abstain, by the service's own bound."""
    return float(
        next(row["abstained"] for row in one["contexts"].values() if isinstance(row, dict) and "recall" in row)
    )


def _contexts(found: Figures) -> Iterator[list[str]]:
    for name, one in found.items():
        strangers = [
            f"{percent(row['abstained'])} of {row['questions']}" for row in one["contexts"]["strangers"].values()
        ]
        yield [
            name,
            f"{percent(_abstained(one))} of {one['contexts']['questions']}",
            *strangers,
            *[""] * (2 - len(strangers)),
        ]


def _axis(name: str, one: Figures, sizes: Sequence[str]) -> list[str]:
    at = [f"{one['sizes'][size]['passed']}/{one['sizes'][size]['asked']}" for size in sizes]
    interval = f"{100 * one['low']:.0f}-{100 * one['high']:.0f}"
    label = f"**{name}**" if name == "all" else name
    asked = one["asked"]
    return [label, str(one["cases"]), *at, share(one["passed"] / asked), interval, share(one["order_held"] / asked)]


def _histories(sizes: Figures) -> Iterator[list[str]]:
    for size, shapes in sizes.items():
        for shape, one in shapes.items():
            yield [
                f"{int(size):,}, {shape}",
                *(str(one["notes"]), percent(one["first"]), percent(one["sure"])),
                *(number(one[name], 2) for name in ("median", "lowest_tenth")),
                *(str(one["never"]), percent(one["within"]), number(one["highest"], 2)),
            ]


def _of_orders(left_out: Figures) -> Iterator[list[str]]:
    for name, measure, least in _WANTED:
        if name in left_out:
            found = left_out[name]["rows"][ALL_FEATURES]["measures"][measure]
            yield [name, f"{measure} ≥ {100 * least:g}", share(found), verdict(met=found >= least)]
    for name, one in left_out.items():
        found, best = one["rows"][ALL_FEATURES]["measures"], _best_unfitted(one["rows"])
        behind = [measure for measure in SHOWN if found[measure] < best[measure]]
        said = f"behind in {', '.join(behind)}" if behind else "better in all"
        yield [name, "better than each order without a fit", said, verdict(met=not behind)]


def _best_unfitted(rows: Figures) -> dict[str, float]:
    unfitted = [row["measures"] for label, row in rows.items() if not row["calibration"]]
    return {measure: max(one[measure] for one in unfitted) for measure in SHOWN}


def _of_relevances(left_out: Figures) -> Iterator[list[str]]:
    for name, one in left_out.items():
        row = one["rows"][ALL_FEATURES]
        if told := row["abstention"]:
            yield _least(name, "AUROC", told["auroc"], _LEAST_AUROC)
            yield _most(name, "false accepts at 95% true ones", told["false_accepts"], _MOST_ACCEPTS)
            if name == "locomo":
                yield _least(name, "AUROC, names swapped", told["swapped_auroc"], _LEAST_SWAPPED_AUROC)
        for label, key in zip(USED, ("used_hits", "first_hits"), strict=False):
            if (error := row["calibration"][key]) is not None:
                yield _most(name, label, error, _MOST_ERROR)


def _least(name: str, measure: str, found: float, least: float) -> list[str]:
    return [name, f"{measure} ≥ {least:.2f}", number(found), verdict(met=found >= least)]


def _most(name: str, measure: str, found: float, most: float) -> list[str]:
    return [name, f"{measure} ≤ {most:.2f}", number(found), verdict(met=found <= most)]


def _of_everyday(report: Figures) -> Iterator[list[str]]:
    hold = _everyday_share(report)
    name = "everyday, as shipped"
    yield [name, f"hold ≥ {percent(_LEAST_EVERYDAY)}", f"{share(hold)}%", verdict(met=hold >= _LEAST_EVERYDAY)]
    found = [one for shapes in report["histories"]["sizes"].values() for one in shapes.values()]
    sure, within = min(one["sure"] for one in found), min(one["within"] for one in found)
    notes = f"exact notes with a relevance ≥ {LEAST}, at each size: all"
    yield [name, notes, f"at least {percent(sure)}", verdict(met=sure >= 1)]
    never = f"never said, relevance ≤ {MOST}, at each size: ≥ {percent(_LEAST_WITHIN)}"
    yield [name, never, f"at least {percent(within)}", verdict(met=within >= _LEAST_WITHIN)]


def _of_contexts(left_out: Figures) -> Iterator[list[str]]:
    for name, one in left_out.items():
        found = one["rows"][ALL_FEATURES]["contexts"]
        own, others = found["answered"], found["others"]
        wanted = f"contexts that abstain of questions with an answer ≤ {percent(_MOST_ABSTAINED)}"
        yield [name, wanted, f"{share(own)}%", verdict(met=own <= _MOST_ABSTAINED)]
        if others is not None:
            wanted = f"contexts that abstain, asked as another user ≥ {percent(_LEAST_ABSTAINED)}"
            yield [name, wanted, f"{share(others)}%", verdict(met=others >= _LEAST_ABSTAINED)]


def _everyday_share(report: Figures) -> float:
    of_all = report["everyday"]["axes"]["all"]
    return float(of_all["passed"] / of_all["asked"])


def _in_short(left_out: Figures) -> Iterator[list[str]]:
    for name, one in left_out.items():
        row = one["rows"][ALL_FEATURES]
        unfitted = [row for row in one["rows"].values() if not row["calibration"]]
        alone = max(unfitted, key=lambda order: order["measures"]["nDCG@10"])
        told = row["abstention"]
        yield [
            name,
            *(share(row["measures"][measure]) for measure in _BRIEFLY),
            " / ".join(share(alone["measures"][measure]) for measure in _BRIEFLY),
            number(told["auroc"]) if told else "",
        ]


def _sentence(report: Figures) -> str:
    cases, hold = report["everyday"]["axes"]["all"]["cases"], share(_everyday_share(report))
    return f"Of {cases} everyday cases, each in several surroundings, {hold}% hold."
