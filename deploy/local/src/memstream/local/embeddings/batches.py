"""Batches of texts that are embedded together."""

from collections.abc import Sequence


def plan_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return batches of at most `budget` tokens, padding included, for texts of `lengths` tokens, each at least 1.

    A batch is padded to its longest text, so texts of similar length go together. Batches hold positions in `lengths`,
    each exactly once, longest first; a text longer than the budget is a batch of its own.
    """
    batches: list[list[int]] = []
    room = 0
    for position in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if room == 0:
            batches.append([])
            room = max(1, budget // lengths[position])
        batches[-1].append(position)
        room -= 1
    return batches
