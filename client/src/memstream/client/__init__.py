"""The Python client of Memstream.

Errors are one tree::

    MemstreamClientError
    ├── InvalidRequest          400, 405, 415, 422: `errors` names the fields
    │   └── TooLarge            413: a body, a batch or a text is over its limit
    ├── Unauthenticated         401: the API key is missing or not valid
    ├── Forbidden               403: the API key does not allow this
    ├── NotFound                404
    ├── Overloaded              429: try again after `retry_after` seconds
    ├── Unavailable             502, 503, 504: something the service needs is down; try again after `retry_after`
    ├── ConnectionFailed        no answer, or not in time
    └── ServerFault             500, or an answer that did not come from Memstream
"""

from memstream.client._errors import (
    ConnectionFailed,
    Forbidden,
    InvalidRequest,
    MemstreamClientError,
    NotFound,
    Overloaded,
    ServerFault,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from memstream.client._http import ConnectionOptions
from memstream.client._memory import Memstream
from memstream.client._operator import Operator
from memstream.client._options import ContextOptions, DeadLetterFilters, SearchOptions, TimelineOptions
from memstream.client._retries import ONCE, Retries
from memstream.client._status import ServiceStatus, Status

__all__ = [
    "ONCE",
    "ConnectionFailed",
    "ConnectionOptions",
    "ContextOptions",
    "DeadLetterFilters",
    "Forbidden",
    "InvalidRequest",
    "Memstream",
    "MemstreamClientError",
    "NotFound",
    "Operator",
    "Overloaded",
    "Retries",
    "SearchOptions",
    "ServerFault",
    "ServiceStatus",
    "Status",
    "TimelineOptions",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
]
