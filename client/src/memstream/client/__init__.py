"""The Python client of Memstream.

Errors are one tree::

    MemstreamClientError
    ├── InvalidRequest          400, 405, 415, 422: `errors` names the fields
    │   └── TooLarge            413: a body, a batch or a text is over its limit
    ├── Unauthenticated         401: no key, or one that is not known
    ├── Forbidden               403: the key may not do this
    ├── NotFound                404
    ├── Overloaded              429: try again after `retry_after` seconds
    ├── Unavailable             502, 503, 504: something the service needs is down; try again after `retry_after`
    ├── ConnectionFailed        nothing answered, or not in time
    └── ServerFault             500, or an answer that is not Memstream's
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
from memstream.client._memory import Memstream
from memstream.client._operator import Operator
from memstream.client._retries import ONCE, Retries
from memstream.client._status import ServiceStatus, Status

__all__ = [
    "ONCE",
    "ConnectionFailed",
    "Forbidden",
    "InvalidRequest",
    "Memstream",
    "MemstreamClientError",
    "NotFound",
    "Operator",
    "Overloaded",
    "Retries",
    "ServerFault",
    "ServiceStatus",
    "Status",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
]
