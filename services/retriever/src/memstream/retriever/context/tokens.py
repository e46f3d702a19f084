"""Tokens, counted offline as OpenAI's models count them."""

from collections.abc import Callable
from functools import lru_cache


@lru_cache
def _encode(encoding: str) -> Callable[[str], list[int]]:
    # Its import alone reads every vocabulary there is: 70 MB and half a second.
    from bpe_openai import get_encoding  # noqa: PLC0415 - only who counts pays for it

    encode: Callable[[str], list[int]] = get_encoding(encoding).encode_ordinary
    return encode


def token_counter(encoding: str) -> Callable[[str], int]:
    """Make a function that counts a text's tokens; `encoding` is the name of one of OpenAI's.

    Its vocabulary is loaded when it first counts: 30 to 80 MB and less than a tenth of a second, and for the first one
    of a process 70 MB and half a second more.
    """
    return lambda text: len(_encode(encoding)(text))
