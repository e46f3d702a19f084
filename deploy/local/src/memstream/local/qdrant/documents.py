"""Texts that the server turns into vectors itself: the model ``qdrant/bm25``, as in a Qdrant server."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from functools import lru_cache

import orjson
import qdrant_edge as qe

from memstream.local.qdrant.fields import Json, choice, flag, integer, known, number, optional, required, text, texts
from memstream.local.qdrant.refusals import malformed, wrong

MODEL = "qdrant/bm25"

_DOCUMENT = ("text", "model", "options")
_OPTIONS = frozenset(
    [
        "k",
        "b",
        "avg_len",
        "tokenizer",
        "language",
        "lowercase",
        "ascii_folding",
        "stopwords",
        "stemmer",
        "min_token_len",
        "max_token_len",
    ]
)
TOKENIZERS = {
    "prefix": qe.TokenizerType.Prefix,
    "whitespace": qe.TokenizerType.Whitespace,
    "word": qe.TokenizerType.Word,
    "multilingual": qe.TokenizerType.Multilingual,
    "code": qe.TokenizerType.Code,
}
_STOPWORD_LANGUAGES = [
    "Arabic",
    "Azerbaijani",
    "Basque",
    "Bengali",
    "Catalan",
    "Chinese",
    "Danish",
    "Dutch",
    "English",
    "Finnish",
    "French",
    "German",
    "Greek",
    "Hebrew",
    "Hinglish",
    "Hungarian",
    "Indonesian",
    "Italian",
    "Japanese",
    "Kazakh",
    "Nepali",
    "Norwegian",
    "Portuguese",
    "Romanian",
    "Russian",
    "Slovene",
    "Spanish",
    "Swedish",
    "Tajik",
    "Turkish",
]
_STEMMER_LANGUAGES = [
    "Arabic",
    "Armenian",
    "Danish",
    "Dutch",
    "English",
    "Finnish",
    "French",
    "German",
    "Greek",
    "Hungarian",
    "Italian",
    "Norwegian",
    "Portuguese",
    "Romanian",
    "Russian",
    "Spanish",
    "Swedish",
    "Tamil",
    "Turkish",
]
_LANGUAGES: dict[str, qe.Language] = {name.lower(): getattr(qe.Language, name) for name in _STOPWORD_LANGUAGES}
_STEMMERS: dict[str, qe.SnowballLanguage] = {
    name.lower(): getattr(qe.SnowballLanguage, name) for name in _STEMMER_LANGUAGES
}


def is_document(value: object) -> bool:
    """Tell a text to be embedded from vectors that happen to be named alike."""
    return isinstance(value, dict) and isinstance(value.get("text"), str) and isinstance(value.get("model"), str)


def embed_stored(document: Json, where: str) -> qe.SparseVector:
    """Return the vector of a text that is stored."""
    return _model(document, where).embed_document(document["text"])


def embed_asked(document: Json, where: str) -> qe.SparseVector:
    """Return the vector of a text that is searched for."""
    return _model(document, where).embed_query(document["text"])


def _model(document: Json, where: str) -> qe.Bm25:
    known(document, _DOCUMENT, where)
    if document["model"].lower() != MODEL:
        raise wrong(f"model `{document['model']}` in `{where}` is not available here, only `{MODEL}` is")
    options = document.get("options")
    return _configured(b"" if not options else orjson.dumps(options, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=32)
def _configured(options: bytes) -> qe.Bm25:
    """Build the model for these options once, since that takes longer than embedding a text."""
    if not options:
        return qe.Bm25()
    body = known(orjson.loads(options), _OPTIONS, "options")
    return qe.Bm25(
        qe.Bm25Config(
            k=optional(number, body, "k"),
            b=optional(number, body, "b"),
            avg_len=optional(number, body, "avg_len"),
            tokenizer=optional(read_tokenizer, body, "tokenizer"),
            language=optional(text, body, "language"),
            lowercase=optional(flag, body, "lowercase"),
            ascii_folding=optional(flag, body, "ascii_folding"),
            stopwords=optional(read_stopwords, body, "stopwords"),
            stemmer=optional(read_stemmer, body, "stemmer"),
            min_token_len=optional(integer, body, "min_token_len"),
            max_token_len=optional(integer, body, "max_token_len"),
        )
    )


def read_tokenizer(value: object, where: str) -> qe.TokenizerType:
    """Translate a tokenizer's name."""
    return choice(value, TOKENIZERS, where)


def read_stopwords(value: object, where: str) -> qe.Stopwords:
    """Translate stopwords: a language, or ``{"languages": [...], "custom": [...]}``."""
    if isinstance(value, str):
        return choice(value, _LANGUAGES, where)
    body = known(value, ("languages", "custom"), where)
    languages = {choice(each, _LANGUAGES, where) for each in texts(body.get("languages") or [], where)}
    return qe.StopwordsSet(languages, set(texts(body.get("custom") or [], where)))


def read_stemmer(value: object, where: str) -> qe.StemmingAlgorithm:
    """Translate a stemmer: ``{"type": "snowball", "language": ...}`` or ``{"type": "none"}``."""
    body = known(value, ("type", "language"), where)
    kind = required(body, "type", where)
    if kind == "none":
        return qe.DisabledStemmer()
    if kind != "snowball":
        raise malformed(f"unknown variant `{kind}` for `{where}.type`, expected `snowball` or `none`")
    return qe.SnowballParams(choice(required(body, "language", where), _STEMMERS, f"{where}.language"))
