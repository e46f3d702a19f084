"""How many values a JSON body has: validating takes time for each, however small it is. Pure."""

import re

from memstream.runtime.errors import TooLarge

_STRING_OR_VALUE = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{,]', re.DOTALL)
"""A string as a whole, so that what it holds is not counted. One without an end goes to the end: JSON it is not."""
_QUOTE = ord('"')


def check_values(body: bytes, limit: int) -> None:
    """Check that a body has no more values than the limit. It takes time in proportion to its size and to the limit.

    Values are counted by what goes before them: a comma, or the bracket of their list or object.

    Raises:
        TooLarge: it has more.

    """
    count = 0
    for match in _STRING_OR_VALUE.finditer(body):
        count += body[match.start()] != _QUOTE
        if count > limit:
            raise TooLarge("body", f"has more than {limit} values")
