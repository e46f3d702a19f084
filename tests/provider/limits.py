"""Rate limits as OpenAI has them: budgets that refill steadily, and headers that tell what is left."""

from dataclasses import dataclass

_MINUTE = 60.0


class Budget:
    """So many units a minute. Told the time."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._left = float(per_minute)
        self._at: float | None = None

    def left(self, now: float) -> float:
        """Give what may be spent now."""
        passed = 0.0 if self._at is None else now - self._at
        self._left = min(float(self.per_minute), self._left + passed * self.per_minute / _MINUTE)
        self._at = now
        return self._left

    def spend(self, units: int, now: float) -> None:
        """Take units away; there may be fewer than none left for a while, for failed calls count too."""
        self._left = max(-float(self.per_minute), self.left(now) - units)

    def wait_for(self, units: int, now: float) -> float:
        """Give the seconds until that many units are there."""
        missing = min(units, self.per_minute) - self.left(now)
        return max(0.0, missing * _MINUTE / self.per_minute)


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer of the limits to one call: the seconds to wait when it is refused, and the headers."""

    retry_after: float | None
    headers: dict[str, str]


class RateLimits:
    """Requests and tokens a minute; None is no limit."""

    def __init__(self, requests_per_minute: int | None = None, tokens_per_minute: int | None = None) -> None:
        self._budgets = {
            name: Budget(limit)
            for name, limit in (("requests", requests_per_minute), ("tokens", tokens_per_minute))
            if limit is not None
        }

    def admit(self, tokens: int, now: float) -> Admission:
        """Charge a call, and say whether it may go on. A refused call costs a request all the same."""
        costs = {"requests": 1, "tokens": tokens}
        waits = {name: budget.wait_for(costs[name], now) for name, budget in self._budgets.items()}
        refused = any(waits.values())
        headers: dict[str, str] = {}
        for name, budget in self._budgets.items():
            if not refused or name == "requests":
                budget.spend(costs[name], now)
            headers[f"x-ratelimit-limit-{name}"] = str(budget.per_minute)
            headers[f"x-ratelimit-remaining-{name}"] = str(max(0, int(budget.left(now))))
            headers[f"x-ratelimit-reset-{name}"] = span(budget.wait_for(budget.per_minute, now))
        return Admission(max(waits.values()) if refused else None, headers)


def span(seconds: float) -> str:
    """Write a duration as OpenAI's headers do: `0s`, `12ms`, `1.5s`, `6m0s`."""
    if seconds <= 0:
        return "0s"
    if seconds < 1:
        return f"{max(1, round(seconds * 1000))}ms"
    minutes, rest = divmod(seconds, _MINUTE)
    return f"{int(minutes)}m{rest:.3g}s" if minutes else f"{rest:.3g}s"
