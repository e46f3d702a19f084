"""A text as words with blanks between them, whatever its script. Pure.

Keyword search and the ranking's words read texts through this, so that both sides of a comparison are cut alike. A
change here is a new version of the keyword space.
"""

import re
import unicodedata
from operator import add

_UNSPACED = re.compile(
    r"[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    r"\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff"  # Kana
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    r"\uac00-\ud7a3]+"  # Hangul: its words are spaced, but particles are joined to them
)
_SHORT_I = re.compile("[\u0438\u0418]\u0306")
"""The Russian short I taken apart. It is a letter of its own, and many endings of words have it."""

_LIGATURES = {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"} | {
    "đ": "d",
    "Đ": "D",
    "ð": "d",
    "Ð": "D",
    "þ": "th",
    "Þ": "TH",
    "\u0131": "i",
}
"""Latin letters that Unicode does not take apart."""
_LIGATURE = re.compile(f"[{''.join(_LIGATURES)}]")

_MARKS = (*range(0x300, 0x3100), *range(0xA66F, 0xABEE), *range(0xFE20, 0xFE30))
"""Where Unicode has marks that combine with the character before them, of scripts in use."""
_NUKTA, _VIRAMA, _FIRST_POINT, _LAST_POINT, _THAI_TONE, _FIRST_ACCENT = 7, 9, 10, 36, 107, 200
"""Combining classes. Points are those of Hebrew and Arabic; accents are what stands above and below letters."""


def _is_left_out(character: str) -> bool:
    mark = unicodedata.combining(character)
    return mark != 0 and (
        mark in (_NUKTA, _VIRAMA, _THAI_TONE) or _FIRST_POINT <= mark <= _LAST_POINT or mark >= _FIRST_ACCENT
    )


_LEFT_OUT = re.compile(f"[{''.join(filter(_is_left_out, map(chr, _MARKS)))}]+")


def fold(text: str) -> str:
    """Return a text without accents and other marks that are often left out, each character in one spelling.

    ASCII texts stay as they are.
    """
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", _LIGATURE.sub(lambda match: _LIGATURES[match[0]], text))
    apart = _SHORT_I.sub(lambda match: unicodedata.normalize("NFC", match[0]), apart)
    return unicodedata.normalize("NFC", _LEFT_OUT.sub("", apart))


def segment(text: str) -> str:
    """Return a folded text with blanks between the words of scripts that write none, each of two characters.

    So "芒果湖" becomes "芒果 果湖". Texts in scripts with blanks are only folded.
    """
    return text if text.isascii() else _UNSPACED.sub(_pairs, fold(text))


def _pairs(match: re.Match[str]) -> str:
    run = match[0]
    return f" {' '.join(map(add, run, run[1:])) or run} "
