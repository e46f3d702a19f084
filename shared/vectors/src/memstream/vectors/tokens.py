"""Tokens, counted offline as OpenAI's models count them."""

from collections.abc import Callable

from bpe_openai import get_encoding


def token_counter(encoding: str) -> Callable[[str], int]:
    """Make a function that counts a text's tokens; `encoding` is the name of one of OpenAI's."""
    encode = get_encoding(encoding).encode_ordinary
    return lambda text: len(encode(text))
