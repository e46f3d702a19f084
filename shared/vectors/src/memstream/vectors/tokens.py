"""Tokens, counted offline as OpenAI's models count them."""

from collections.abc import Callable
from functools import lru_cache

from bpe_openai import get_encoding


@lru_cache
def _encode(encoding: str) -> Callable[[str], list[int]]:
    encode: Callable[[str], list[int]] = get_encoding(encoding).encode_ordinary
    return encode


def token_counter(encoding: str) -> Callable[[str], int]:
    """Make a function that counts a text's tokens; `encoding` is the name of one of OpenAI's.

    Its vocabulary, 30 to 80 MB, is loaded when it first counts, which takes less than a tenth of a second.
    """
    return lambda text: len(_encode(encoding)(text))
