"""Messages posted in open loop, some of which are searched for at once."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.arrivals import Arrivals
from benchmarks.backlog import Messages
from benchmarks.http_client import HttpClient
from benchmarks.site import Failed, Site

_OK = range(200, 300)
_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One message, in seconds of the loop's clock."""

    due: float
    sent: float
    accepted: float
    found: float


@dataclass(slots=True)
class Samples:
    """The observations of the counted messages."""

    begun: float
    posted: int = 0
    found: list[Sample] = field(default_factory=list)
    accepted: list[tuple[float, float, float]] = field(default_factory=list)
    """Times when each was due, sent and accepted."""
    failed: Counter[str] = field(default_factory=Counter)

    def accepted_ms(self, percent: int) -> float:
        """Return a percentile of the time from due to accepted."""
        return _percentile([accepted - due for due, _, accepted in self.accepted], percent)

    def late_ms(self, percent: int) -> float:
        """Return a percentile of how late the sender was."""
        return _percentile([sent - due for due, sent, _ in self.accepted], percent)

    def document(self) -> dict[str, Any]:
        """Return all samples, in milliseconds: when a message was due, then from then on."""
        return {
            "due_sent_accepted_found_ms": [
                [
                    round(1000 * at, 2)
                    for at in (s.due - self.begun, s.sent - s.due, s.accepted - s.due, s.found - s.due)
                ]
                for s in self.found
            ],
            "accepted": len(self.accepted),
            "failed": dict(self.failed),
        }


class Probes:
    """Posts messages at a rate, and searches for one in so many."""

    def __init__(self, site: Site, messages: Messages, *, rate: float, every: int) -> None:
        self._site = site
        self._messages = messages
        self._rate = rate
        self._every = every
        self._ingest = HttpClient(site.plan.ingest_url, site.keys.api_key)
        self._retriever = HttpClient(site.plan.retriever_url, site.keys.api_key)

    async def run(self, warm_up: float, seconds: float) -> Samples:
        """Post for a while, and return the observations of the messages that were due after the warm-up.

        Raises:
            Failed: no message was found.

        """
        begun = time.perf_counter() + warm_up
        samples = Samples(begun)

        async def act(number: int, due: float) -> None:
            counts = begun <= due < begun + seconds
            samples.posted += counts
            outcome = await self._post(number, due)
            if isinstance(outcome, str):
                samples.failed[outcome] += counts
            elif counts:
                samples.accepted.append((due, *outcome[:2]))
            if isinstance(outcome, tuple) and number % self._every == 0:
                found = await self._ask(number, outcome[2])
                if isinstance(found, str):
                    samples.failed[found] += counts
                elif counts:
                    samples.found.append(Sample(due, *outcome[:2], found))

        await Arrivals(self._rate, self._messages.seed).run(act, until=lambda: time.perf_counter() > begun + seconds)
        self._ingest.close()
        self._retriever.close()
        self._site.require_alive()
        if not samples.found:
            raise Failed(f"no message was found: {dict(samples.failed)}")
        return samples

    async def _post(self, number: int, due: float) -> tuple[float, float, str] | str:
        """Post a message; return when it was sent and accepted, and its position, or an error."""
        del due
        text, user = self._messages.text(number), self._messages.user(number)
        body = json.dumps({"user_id": user, "message_id": f"live-{number}", "text": text}).encode()
        sent = time.perf_counter()
        try:
            status, answer = await self._ingest.post("/v1/messages", body)
        except OSError as error:
            return f"post: {type(error).__name__}"
        accepted = time.perf_counter()
        return (sent, accepted, json.loads(answer)["position"]) if status in _OK else f"post: {status}"

    async def _ask(self, number: int, position: str) -> float | str:
        """Search for a message; return when the answer that has it was read, or an error."""
        query = {
            "user_id": self._messages.user(number),
            "query": self._messages.text(number).split()[0],
            "mode": "keyword",
            "wait_for": [position],
            "wait_timeout": _WAIT_SECONDS,
        }
        try:
            status, answer = await self._retriever.post("/v1/search", json.dumps(query).encode())
        except OSError as error:
            return f"search: {type(error).__name__}"
        at = time.perf_counter()
        if status not in _OK:
            return f"search: {status}"
        hits = json.loads(answer)["hits"]
        return at if any(hit["message_id"] == f"live-{number}" for hit in hits) else "search: not among the hits"


def _percentile(seconds: Sequence[float], percent: int) -> float:
    ranked = sorted(seconds)
    return 1000 * ranked[min(len(ranked) - 1, len(ranked) * percent // 100)] if ranked else 0.0
