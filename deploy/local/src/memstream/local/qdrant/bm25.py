"""Texts that the server turns into sparse vectors itself: the model ``qdrant/bm25``, as in a Qdrant server."""

from functools import lru_cache

import orjson
import qdrant_edge as qe

from memstream.local.qdrant.errors import wrong_input
from memstream.local.qdrant.json_fields import Json, boolean, choice, number, optional, strict_object, string

MODEL = "qdrant/bm25"

_DOCUMENT = ("text", "model", "options")
_OPTIONS = ("ascii_folding", "avg_len", "language", "tokenizer")
_TOKENIZERS = {
    "multilingual": qe.TokenizerType.Multilingual,
    "prefix": qe.TokenizerType.Prefix,
    "whitespace": qe.TokenizerType.Whitespace,
    "word": qe.TokenizerType.Word,
}


def is_document(value: object) -> bool:
    """Return whether this is a text to embed, and not an object of vectors by name."""
    return isinstance(value, dict) and isinstance(value.get("text"), str) and isinstance(value.get("model"), str)


def embed_passage(document: Json, where: str) -> qe.SparseVector:
    """Return the vector of a text to store."""
    return _model(document, where).embed_document(document["text"])


def embed_query(document: Json, where: str) -> qe.SparseVector:
    """Return the vector of a text to search for."""
    return _model(document, where).embed_query(document["text"])


def _model(document: Json, where: str) -> qe.Bm25:
    strict_object(document, _DOCUMENT, where)
    if document["model"].lower() != MODEL:
        raise wrong_input(f"model `{document['model']}` in `{where}` is not available here, only `{MODEL}` is")
    options = document.get("options")
    return _configured(b"" if not options else orjson.dumps(options, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=32)
def _configured(options: bytes) -> qe.Bm25:
    """Return the model with these options. Building it takes longer than embedding a text, so it is cached."""
    if not options:
        return qe.Bm25()
    body = strict_object(orjson.loads(options), _OPTIONS, "options")
    config = qe.Bm25Config(
        ascii_folding=optional(boolean, body, "ascii_folding"),
        avg_len=optional(number, body, "avg_len"),
        language=optional(string, body, "language"),
        tokenizer=optional(lambda value, where: choice(value, _TOKENIZERS, where), body, "tokenizer"),
    )
    try:
        return qe.Bm25(config)
    except ValueError as error:
        raise wrong_input(f"{error}, in `options` of `{MODEL}`") from error
