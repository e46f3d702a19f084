"""What a provider's answers say about its limits: OpenAI's `x-ratelimit-*` headers. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from memstream.vectors.server_errors import read_number

_MINUTE = 60.0
_DAY = 24 * 60 * _MINUTE

_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit, of requests or of tokens."""

    per_minute: float
    remaining: float
    """What may be spent at once, by the provider's account."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits that an answer reported; None if it did not."""

    requests: Quota | None = None
    tokens: Quota | None = None


def read_quotas(headers: Mapping[str, str]) -> Quotas:
    """Return the limits in an answer's headers; what can't be read counts as not reported."""
    return Quotas(_quota(headers, "requests"), _quota(headers, "tokens"))


def _quota(headers: Mapping[str, str], unit: str) -> Quota | None:
    limit = read_number(headers.get(f"x-ratelimit-limit-{unit}"))
    remaining = read_number(headers.get(f"x-ratelimit-remaining-{unit}"))
    if not limit or remaining is None:
        return None
    reset = read_span(headers.get(f"x-ratelimit-reset-{unit}", ""))
    spent = limit - remaining
    per_minute = limit
    if reset is not None and reset > _MINUTE:
        # What takes longer than a minute to be full again is not a limit per minute but, say, per day. If it is
        # refilled all the time, what was spent says how long the whole takes. If that is longer than a day, it is
        # refilled all at once: then `reset` has nothing to do with what was spent.
        longest = max(_DAY, reset)
        window = min(limit * reset / spent, longest) if spent > 0 else longest
        per_minute = limit * _MINUTE / window
    return Quota(per_minute, max(0.0, remaining))


def read_span(text: str) -> float | None:
    """Read a duration as OpenAI writes it (`1s`, `12ms`, `6m0s`), in seconds; None when it is something else."""
    match = _SPAN.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    try:
        hours, minutes, seconds, milliseconds = (float(group or 0) for group in match.groups())
    except ValueError:
        return None
    return hours * 3600 + minutes * _MINUTE + seconds + milliseconds / 1000
