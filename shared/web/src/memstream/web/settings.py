"""What an HTTP service allows its clients."""

from dataclasses import dataclass, fields
from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings

from memstream.runtime.configuration import Duration

_MIB = 1024 * 1024
_NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The limits on connections and requests. Sizes are in bytes."""

    connections: int = 2_000
    connections_per_address: int = 1_000
    head_bytes: int = 32 * 1024
    head_timeout: timedelta = timedelta(seconds=10)
    idle_timeout: timedelta = timedelta(seconds=75)
    body_idle_timeout: timedelta = timedelta(seconds=10)
    body_timeout: timedelta = timedelta(seconds=120)
    response_timeout: timedelta = timedelta(seconds=30)
    bodies_bytes: int = 64 * _MIB
    bodies_wait: timedelta = timedelta(seconds=2)


DEFAULT_HTTP_LIMITS = HttpLimits()


class HttpSettings(BaseSettings):
    """Settings of every HTTP service."""

    connections: int = Field(default=DEFAULT_HTTP_LIMITS.connections, ge=1)
    """Open connections at most. One more replaces an idle or slow one, of the address that has the most."""
    connections_per_address: int = Field(default=DEFAULT_HTTP_LIMITS.connections_per_address, ge=1)
    """Open connections of one client address at most; of an IPv6 address, the first 64 bits count."""
    head_bytes: int = Field(default=DEFAULT_HTTP_LIMITS.head_bytes, ge=1024)
    """Size of a request's line and headers, at most."""
    head_timeout: Duration = Field(default=DEFAULT_HTTP_LIMITS.head_timeout, gt=_NO_TIME)
    """A request's line and headers are complete by then, or its connection is closed with 408."""
    idle_timeout: Duration = Field(default=DEFAULT_HTTP_LIMITS.idle_timeout, gt=_NO_TIME)
    """How long a connection is kept between two requests. Longer than clients and proxies keep theirs (60 s is common):
    a request on a connection that is just being closed fails."""
    body_idle_timeout: Duration = Field(default=DEFAULT_HTTP_LIMITS.body_idle_timeout, gt=_NO_TIME)
    """Longest pause within a body."""
    body_timeout: Duration = Field(default=DEFAULT_HTTP_LIMITS.body_timeout, gt=_NO_TIME)
    """A whole body arrives within this time."""
    response_timeout: Duration = Field(default=DEFAULT_HTTP_LIMITS.response_timeout, gt=_NO_TIME)
    """A client that takes longer to read on is cut off."""
    bodies_bytes: int = Field(default=DEFAULT_HTTP_LIMITS.bodies_bytes, ge=_MIB)
    """Bytes of unfinished bodies that a process holds. A tenant gets at most as much as it leaves to the others."""
    bodies_wait: Duration = Field(default=DEFAULT_HTTP_LIMITS.bodies_wait, ge=_NO_TIME)
    """How long a body waits for others to be finished, before it is refused with 429."""

    def http_limits(self) -> HttpLimits:
        """Return the limits on connections and requests."""
        return HttpLimits(**{field.name: getattr(self, field.name) for field in fields(HttpLimits)})
