"""The outcome of many runs, in figures: as JSON, and as text."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from reliability.history import (
    Answered,
    Deleted,
    Deleting,
    Ended,
    FaultInjected,
    History,
    Searched,
    Sent,
    StateRead,
    Verified,
)
from reliability.plans import Plan


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run in figures. Faults are counted by kind; `missed` are those whose moment never came."""

    seed: int
    shape: str
    seconds: float
    messages: int
    """Different ones."""
    sent: int
    """Times that one went out."""
    outcomes: Mapping[str, int]
    deletes: int
    erasures: int
    searches: int
    states: int
    receipts: int
    """Read while faults were about, and said done."""
    faults: Mapping[str, int]
    missed: Mapping[str, int]
    ended: int
    """Parts that ended by themselves, and were started again."""
    violations: Sequence[str]


def outcome_of(plan: Plan, history: History, violations: Sequence[str], seconds: float) -> Outcome:
    """Sum a run up."""
    sent = [one for one in history.of(Sent) if one.valid]
    begun = Counter(fault.kind for fault in history.of(FaultInjected) if fault.phase == "begun")
    missed = Counter(fault.kind for fault in history.of(FaultInjected) if fault.phase == "missed")
    answered = {answer.call for answer in history.of(Deleted) if answer.erasure_id is not None}
    requests = [request for request in history.of(Deleting) if request.call in answered]
    erasures = sum(request.message_id is None for request in requests)
    return Outcome(
        seed=plan.seed,
        shape=plan.shape,
        seconds=round(seconds, 2),
        messages=len({(one.user, one.message_id) for one in sent}),
        sent=len(sent),
        outcomes=dict(Counter(answer.outcome for answer in history.of(Answered))),
        deletes=len(requests) - erasures,
        erasures=erasures,
        searches=sum(1 for _ in history.of(Searched)),
        states=sum(1 for _ in history.of(StateRead)),
        receipts=sum(read.state == "done" for read in history.of(Verified)),
        faults=dict(begun - missed),
        missed=dict(missed),
        ended=sum(1 for _ in history.of(Ended)),
        violations=list(violations),
    )


@dataclass(frozen=True, slots=True)
class Report:
    """All runs of a session."""

    outcomes: Sequence[Outcome]

    def json(self) -> str:
        """Return totals and every run."""
        totals = {
            "runs": len(self.outcomes),
            "messages": self._sum("messages"),
            "sent": self._sum("sent"),
            "deletes": self._sum("deletes"),
            "erasures": self._sum("erasures"),
            "searches": self._sum("searches"),
            "states": self._sum("states"),
            "receipts": self._sum("receipts"),
            "seconds": round(sum(outcome.seconds for outcome in self.outcomes), 1),
            "faults": self.faults,
            "missed": self.missed,
            "violations": self.violations,
        }
        return json.dumps({**totals, "each": [asdict(outcome) for outcome in self.outcomes]}, indent=2) + "\n"

    def text(self) -> str:
        """Return the totals for people."""
        outcomes = sum((Counter(outcome.outcomes) for outcome in self.outcomes), Counter[str]())
        seconds = sorted(outcome.seconds for outcome in self.outcomes)
        lines = [
            f"runs        {len(self.outcomes)}, with violations: {sum(bool(o.violations) for o in self.outcomes)}",
            f"messages    {self._sum('messages')}, sent {self._sum('sent')} times: "
            + ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())),
            f"deletes     {self._sum('deletes')} of messages, {self._sum('erasures')} of users",
            f"checked     {self._sum('states')} states, {self._sum('searches')} searches",
            f"            {self._sum('receipts')} receipts that said done while faults were about",
            f"seconds     {sum(seconds):.0f}; a run {median(seconds):.1f} at the median, {seconds[-1]:.1f} at the most",
            f"faults      {sum(self.faults.values())}; parts that ended by themselves: {self._sum('ended')}",
            *(f"  {count:5}  {kind}" for kind, count in self.faults.items()),
            *(f"  {count:5}  {kind}: its moment never came" for kind, count in sorted(self.missed.items())),
            f"violations  {len(self.violations)}",
            *(f"  {violation.splitlines()[0][:200]}" for violation in self.violations),
        ]
        return "\n".join(lines) + "\n"

    @property
    def faults(self) -> dict[str, int]:
        """How many faults of each kind were injected."""
        return dict(sorted(sum((Counter(outcome.faults) for outcome in self.outcomes), Counter[str]()).items()))

    @property
    def missed(self) -> dict[str, int]:
        """How many faults of each kind waited in vain."""
        return dict(sum((Counter(outcome.missed) for outcome in self.outcomes), Counter[str]()))

    @property
    def violations(self) -> list[str]:
        """All violations, each with its seed."""
        return [f"{o.shape} {o.seed}: {violation}" for o in self.outcomes for violation in o.violations]

    def write(self, path: Path) -> None:
        """Write the JSON to a file, and the text to one beside it that ends in `.txt`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.json())
        path.with_suffix(".txt").write_text(self.text())

    def _sum(self, name: str) -> int:
        return sum(int(getattr(outcome, name)) for outcome in self.outcomes)
