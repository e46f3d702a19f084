"""Small words of questions in other languages than English: who asks, and for what. Pure.

No library has them. The patterns are for folded texts in lower case.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SmallWords:
    """Patterns of one language."""

    first_person: re.Pattern[str]
    asks_time: re.Pattern[str]
    asks_number: re.Pattern[str]


def _words(first_person: str, asks_time: str, asks_number: str) -> SmallWords:
    """Return patterns for words between blanks."""
    return SmallWords(*(re.compile(rf"(?<!\w)(?:{each})(?!\w)") for each in (first_person, asks_time, asks_number)))


def _parts(first_person: str, asks_time: str, asks_number: str) -> SmallWords:
    """Return patterns for words that are written together with others."""
    return SmallWords(*(re.compile(each) for each in (first_person, asks_time, asks_number)))


SMALL_WORDS: Mapping[str, SmallWords] = {
    "de": _words(
        r"ich|mich|mir|mein(?:e[nmrs]?)?|wir|uns(?:er(?:e[nmrs]?)?)?",
        r"wann|wie lange|welche[mnrs]? (?:tag|datum|woche|monat|jahr)",
        r"wie ?viele?|wie (?:oft|lange|alt|hoch|teuer|weit)",
    ),
    "es": _words(
        r"yo|mi|mis|me|mio|mia|mios|mias|nuestr[oa]s?|nos",
        r"cuando|cuanto tiempo|(?:que|cual) (?:dia|fecha|semana|mes|ano)",
        r"cuant[oa]s?|que edad",
    ),
    "fr": _words(
        r"je|j(?=')|moi|me|m(?=')|mon|ma|mes|nous|notre|nos",
        r"quand|combien de temps|quel(?:le)? (?:jour|date|semaine|mois|annee)",
        r"combien|quel age",
    ),
    "pt": _words(
        r"eu|me|mim|meus?|minhas?|nos|noss[oa]s?",
        r"quando|quanto tempo|(?:que|qual) (?:dia|data|semana|mes|ano)",
        r"quant[oa]s?|que idade",
    ),
    "it": _words(
        r"io|mi|me|mio|mia|miei|mie|noi|ci|nostr[oaie]",
        r"quando|quanto tempo|(?:che|quale) (?:giorno|data|settimana|mese|anno)",
        r"quant[oaie]|che eta",
    ),
    "nl": _words(
        r"ik|mij|me|mijn|wij|we|ons|onze",
        r"wanneer|hoe lang|welke? (?:dag|datum|week|maand|jaar)",
        r"hoeveel|hoe (?:vaak|lang|oud|duur|ver)",
    ),
    "ru": _words(
        r"я|меня|мне|мной|мой|моя|мое|мои|мою|моего|моему|моей|моем|моих|моим|мы|нас|нам|наш|наша|наше|наши|нашу",
        r"когда|как долго|как(?:ого числа|ой день)|в как(?:ой день|ом году|ом месяце)",  # noqa: RUF001 - Cyrillic letters
        r"сколько|как часто",
    ),
    "ar": _words(r"انا|نحن|لي|عندي|لدي|معي|كنت", r"متي|متى|اي يوم|اي تاريخ", r"كم"),
    "hi": SmallWords(
        re.compile(r"(?<!\w)(?:मै|मैं|मैने|मैंने|मेरा|मेरी|मेरे|मुझे|मुझको|हम|हमारा|हमारी|हमारे)(?![\w\u0900-\u0963])"),
        re.compile(r"कब|किस (?:दिन|तारीख|महीने|साल)"),
        re.compile(r"कितन|कितनी|कितने"),
    ),
    "zh": _parts(
        r"我", r"什么时候|什麼時候|何时|何時|几号|幾號|哪(?:一)?[天年月]|多久", r"多少|几|幾|多[久大高远遠长長]"
    ),
    "ja": _parts(
        r"私|僕|俺|わたし|ぼく|うち",
        r"いつ|何[日年月]|何曜日",
        r"いくつ|いくら|何[回人歳個本枚冊匹]|どのくらい|どれくらい",
    ),
    "ko": _parts(
        r"(?<!\w)(?:나|내|저|제|우리)(?:는|의|가|를|도|한테|에게)?(?!\w)",
        r"언제|며칠|몇 ?[년월일]|무슨 요일",
        r"몇|얼마",
    ),
}
"""By the codes of their languages."""
