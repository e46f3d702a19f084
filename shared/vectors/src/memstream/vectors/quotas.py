"""What a provider's answers say about its limits: OpenAI's `x-ratelimit-*` and `Retry-After` headers. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MINUTE = 60.0

_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit, of requests or of tokens."""

    per_minute: float
    remaining: float
    """What may be spent at once, by the provider's account."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits that an answer told of; None is no word."""

    requests: Quota | None = None
    tokens: Quota | None = None


def read_quotas(headers: Mapping[str, str]) -> Quotas:
    """Read the limits from an answer's headers; what can't be read is taken for no word."""
    return Quotas(_quota(headers, "requests"), _quota(headers, "tokens"))


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Give the seconds that an answer asks to wait; None when it doesn't.

    A date instead of seconds counts as no word: it would need this machine's clock to agree with the provider's.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    return _number(headers.get("retry-after"))


def _quota(headers: Mapping[str, str], unit: str) -> Quota | None:
    limit = _number(headers.get(f"x-ratelimit-limit-{unit}"))
    remaining = _number(headers.get(f"x-ratelimit-remaining-{unit}"))
    if not limit or remaining is None:
        return None
    reset = read_span(headers.get(f"x-ratelimit-reset-{unit}", ""))
    spent = limit - remaining
    per_minute = limit
    if reset is not None and reset > _MINUTE and spent > 0:
        # What takes longer than a minute to be full again is not a limit per minute but, say, per day.
        per_minute = spent * _MINUTE / reset
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


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    # Neither below nothing, nor no number, nor without end.
    return value if value is not None and 0 <= value < float("inf") else None
