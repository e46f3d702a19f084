"""What each way to keep vectors takes, and what it finds: the table for operators."""

from collections.abc import Mapping

from benchmarks.scale.grown import grown_in, longest_histories, titled
from benchmarks.variants import NEAREST

BEGIN = "<!-- vectors: written by python -m benchmarks.scale.sizing -->"
END = "<!-- end of vectors -->"


def render_kept(growth: Mapping[str, float]) -> str:
    """Return the table of those that were measured with the longest histories."""
    found = grown_in(growth)
    longest = longest_histories(found)
    alike = [each for each in found if (each.messages, each.users) == (longest.messages, longest.users)]
    head = [
        *(
            "`QUANTIZATION`",
            f"recall at {NEAREST}",
            f"nearest {NEAREST} among the candidates",
            "largest error of a cosine",
        ),
        *("search in Qdrant, p50", "p95", "its CPU", "memory", "disk"),
    ]
    rows = [head, ["---", *("---:" for _ in head[1:])]]
    for each in alike:
        where = each.where
        rows.append(
            [
                titled(each.variant),
                f"{growth[f'recall at {NEAREST}, {where}']:.1%}",
                f"{growth[f'nearest {NEAREST} among the candidates, {where}']:.1%}",
                f"{growth[f'largest error of a cosine, {where}']:.3f}",
                *(f"{growth[f'of it in Qdrant {share}, {where}']:,.0f} ms" for share in ("p50", "p95")),
                f"{growth[each.search_cpu]:,.1f} ms",
                *(f"{growth[name]:,.0f} MiB" for name in (each.memory_in_use, each.disk)),
            ]
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    size = f"{longest.messages:,} messages of {longest.users:,} users, 384 dimensions"
    lines = [
        f"Measured with {size}, generated vectors.",
        "Memory is what Qdrant has in it after the searches, with what it has mapped of its files. The searches ran",
        "beside other work, which weighs more in their times than in their CPU.",
    ]
    return "\n".join([BEGIN, table, "", *lines, END, ""])
