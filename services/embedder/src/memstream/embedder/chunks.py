"""Long texts are split on token boundaries, at paragraphs, sentences or words where there are some."""

from semantic_text_splitter import TextSplitter

from memstream.vectors.tokens import token_counter


class Chunker:
    """Splits texts into chunks of at most so many tokens of cl100k_base, with some overlap."""

    def __init__(self, tokens: int, overlap: int) -> None:
        self._tokens = tokens
        self._count = token_counter("cl100k_base")
        self._splitter = TextSplitter.from_callback(self._count, tokens, overlap=overlap)

    def split(self, text: str) -> list[str]:
        """Give the chunks in order, none of them blank; a short text is its only chunk, kept as it is."""
        # A token is a byte at the least, so this bound needs no counting.
        if len(text.encode()) <= self._tokens or self._count(text) <= self._tokens:
            return [text]
        return [chunk for chunk in self._splitter.chunks(text) if chunk.strip()]
