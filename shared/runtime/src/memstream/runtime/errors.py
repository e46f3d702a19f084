"""The errors of Memstream. Adapters translate their library's errors into these.

MemstreamError
├── ConfigurationError      a setting is wrong: the process ends with one line
├── Unavailable             a dependency is down or refuses for now: retry later
│   ├── Throttled           a dependency asks for fewer requests
│   ├── Late                no answer came before the caller's deadline
│   ├── Full                a dependency has no memory left for what is to be written
│   ├── AnswerTooLarge      a dependency's answer is larger than this process is willing to hold
│   └── Busy                this process has too much to do
├── Overloaded              a limit on waiting work is reached: retry later
│   └── OverQuota           a limit of the tenant's own
├── GlobalFault             every input fails until an operator fixes it (key, quota, model, collection)
├── Forbidden               the caller is known, and may not do this
├── Invalid                 a field of a request is wrong
├── TooLarge                a request exceeds a limit
└── Rejected                this input cannot succeed, however often it is retried
"""


class MemstreamError(Exception):
    """Any error of Memstream."""


class ConfigurationError(MemstreamError):
    """A setting is wrong. The text says which one, and what to set."""


class Unavailable(MemstreamError):
    """A dependency cannot be reached, or refuses requests for a while."""

    def __init__(self, dependency: str, reason: str, retry_after: float | None = None) -> None:
        super().__init__(f"{dependency}: {reason}")
        self.dependency = dependency
        self.retry_after = retry_after
        """Seconds to wait, if the dependency said so."""


class Throttled(Unavailable):
    """A dependency refused a request because of its rate or concurrency limit."""


class Late(Unavailable):
    """No answer came before the caller's deadline; the dependency may be well, and have much to do."""


class Full(Unavailable):
    """A dependency has no memory left for what is to be written."""


class AnswerTooLarge(Unavailable):
    """A dependency's answer is larger than this process is willing to hold; ask for less."""


class Busy(Unavailable):
    """This process has as much work as it can do in time; another one may have capacity."""


class Overloaded(MemstreamError):
    """A limit on waiting work is reached."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class OverQuota(Overloaded):
    """A tenant has reached a limit of its own."""

    def __init__(self, limit: str, reason: str, retry_after: float) -> None:
        super().__init__(reason, retry_after)
        self.limit = limit
        """The limit's name in the tenant's policy."""


class GlobalFault(MemstreamError):
    """Every input fails in the same way, until an operator fixes it."""

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency}: {reason}")
        self.dependency = dependency


class Forbidden(MemstreamError):
    """The caller is known, and may not do this."""

    def __init__(self, reason: str, *, missing_scope: str | None = None, field: str | None = None) -> None:
        super().__init__(reason)
        self.missing_scope = missing_scope
        """The scope that would be needed."""
        self.field = field
        """The field that names what the caller may not touch."""


class Invalid(MemstreamError):
    """A field of a request is wrong, which was only found when it was used."""

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
    """This input fails however often it is retried."""

    def __init__(self, reason: str, dependency: str | None = None) -> None:
        super().__init__(reason if dependency is None else f"{dependency}: {reason}")
        self.reason = reason
