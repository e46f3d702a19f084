"""Splitting long texts: by tokens, at the ends of paragraphs, sentences or words where possible."""

from semantic_text_splitter import TextSplitter

_MODEL = "text-embedding-3-small"
"""Its encoding is cl100k_base. The splitter's vocabulary takes 24 MB of memory; `bpe_openai` takes four times that."""

_BYTES_PER_TOKEN = 4
"""On average, in English. A longer text hardly fits. Only speed depends on it."""


class Chunker:
    """Splits texts into chunks of at most so many tokens of cl100k_base, with some overlap."""

    def __init__(self, tokens: int, overlap: int) -> None:
        self._tokens = tokens
        self._splitter = TextSplitter.from_tiktoken_model(_MODEL, tokens, overlap=overlap)
        # White space kept, so what comes back in one piece fits as it is.
        self._whole = TextSplitter.from_tiktoken_model(_MODEL, tokens, trim=False)

    def split(self, text: str) -> list[str]:
        """Return the chunks in order, none of them blank. A short text is its only chunk, and stays as it is."""
        size = len(text.encode())
        # A token is a byte at the least, so this bound needs no counting.
        if size <= self._tokens or (size <= self._tokens * _BYTES_PER_TOKEN and self._fits(text)):
            return [text]
        chunks = [chunk for chunk in self._splitter.chunks(text) if chunk.strip()]
        return [text] if len(chunks) == 1 and self._fits(text) else chunks

    def _fits(self, text: str) -> bool:
        return len(self._whole.chunks(text)) == 1
