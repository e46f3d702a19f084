"""The errors that cross the borders of a service's parts. Adapters translate their library's errors into these.

MemstreamError
├── ConfigurationError      a setting is wrong: the start stops with one line
├── Unavailable             something we need is down or refuses for now: try again later
│   ├── Throttled           it asks to be asked less
│   └── Busy                we ourselves have too much to do
├── Overloaded              we have taken on as much as we can: try again later
├── GlobalFault             it fails for every input until an operator mends it (key, quota, model, collection)
├── Invalid                 a field of a request is wrong
├── TooLarge                a request is over a limit
└── Rejected                this input can't succeed, however often it is tried
"""


class MemstreamError(Exception):
    """Any error of Memstream's own."""


class ConfigurationError(MemstreamError):
    """A setting is wrong. The text says which one, and what to set."""


class Unavailable(MemstreamError):
    """Something a service needs is out of reach, or asks to be left alone for a while."""

    def __init__(self, dependency: str, reason: str, retry_after: float | None = None) -> None:
        super().__init__(f"{dependency}: {reason}")
        self.dependency = dependency
        self.retry_after = retry_after
        """Seconds it asked for, if it did."""


class Throttled(Unavailable):
    """Something a service needs was asked too much at once, or too often."""


class Busy(Unavailable):
    """This very process has as much to do as it can do in time; another one may have room."""


class Overloaded(MemstreamError):
    """As much is under way as the limits allow."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class GlobalFault(MemstreamError):
    """It fails alike for every input, until an operator mends it."""

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency}: {reason}")
        self.dependency = dependency


class Invalid(MemstreamError):
    """A field of a request is wrong, which only showed when it was used."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class TooLarge(MemstreamError):
    """A field of a request, or its body, is over a limit; the message says which limit."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Rejected(MemstreamError):
    """This input fails however often it is tried."""

    def __init__(self, reason: str, dependency: str | None = None) -> None:
        super().__init__(reason if dependency is None else f"{dependency}: {reason}")
        self.reason = reason
