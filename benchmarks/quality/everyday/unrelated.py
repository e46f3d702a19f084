"""Messages that have nothing to do with any case: templates whose blanks are filled by chance. Pure.

They are about the weather, the house, the street and sports on television, so no case may be about these.
"""

import re
from collections.abc import Mapping, Sequence
from random import Random

ENGLISH = "en"
_BLANK = re.compile(r"\{(\w+)\}")

_ENGLISH_TEMPLATES = (
    "The {vehicle} was late again, {remark}.",
    "It {weathered} {daypart}, {remark}.",
    "I finally {tidied} the {room}.",
    "Somebody left a {object} on the {place}.",
    "The {machine} makes a {noise} noise again, {remark}.",
    "We watched the {sport} final on television, and it was {quality}.",
    "Have you seen the {object}? It was on the {place} {daypart}.",
    "There was a queue from the {shop} down to the {place}.",
    "I can't decide between {pattern} curtains and {pattern} ones for the {room}.",
    "The pigeons sat on the {place} {daypart}.",
    "I changed the bulb in the {room}, and now the one above the {place} flickers.",
    "That crossword clue about the {object} took me {duration}.",
    "Honestly, the {sport} commentary was {quality}, {remark}.",
    "Everybody on our street {tidied} the {place} {daypart}.",
    "They dug up the pavement by the {shop}, {remark}.",
    "The {machine} manual is {quality}, {remark}.",
    "Clouds like a {object}, {remark}.",
    "Ha, {remark}.",
    "Could you dust the {place} when you pass the {room}?",
    "The radio played the same {quality} song {daypart}.",
)
_ENGLISH_WORDS = {
    "vehicle": ("bus", "tram", "street sweeper", "bin lorry", "express bus", "milk float", "coach", "post cart"),
    "remark": (
        *("as always", "would you believe it", "so that was that", "and nobody minded", "which made me laugh"),
        *("but never mind", "and I had to smile", "of all things", "just like that", "no surprise there"),
        *("if you ask me", "what a nuisance", "and then it stopped", "or so it seemed", "quite a sight"),
    ),
    "weathered": ("rained", "drizzled", "hailed", "was foggy", "was windy", "stayed grey", "thundered", "was sunny"),
    "daypart": ("since dawn", "most of the afternoon", "all evening", "for hours", "until noon", "throughout"),
    "tidied": ("swept", "cleared out", "tidied", "aired", "hoovered", "mopped", "scrubbed", "decluttered"),
    "room": ("hallway", "cellar", "garage", "stairwell", "porch", "pantry", "laundry", "conservatory", "shed"),
    "object": (
        *("glove", "balloon", "bucket", "broom", "cushion", "lampshade", "ladle", "marble", "parasol", "teapot"),
        *(
            "wheelbarrow",
            "yo-yo",
            "deckchair",
            "doormat",
            "feather duster",
            "garden gnome",
            "watering can",
            "clothes peg",
        ),
    ),
    "place": (
        *("windowsill", "gutter", "banister", "bench", "kerb", "chimney", "hedge", "wall", "railing", "doorstep"),
        *("bus shelter", "lamp post", "letterbox", "skip", "traffic island", "clothes line", "compost heap"),
    ),
    "machine": ("washer", "tumble dryer", "lawnmower", "hoover", "toaster", "extractor hood", "iron"),
    "noise": ("rattling", "humming", "squeaking", "clicking", "whistling", "grinding", "gurgling"),
    "sport": ("snooker", "darts", "curling", "badminton", "billiards", "bowls", "cricket", "ski jumping", "volleyball"),
    "quality": ("dull", "splendid", "endless", "so-so", "hilarious", "baffling", "a bit long", "rather good", "odd"),
    "shop": ("kiosk", "ironmonger's", "post office", "launderette", "newsagent's", "florist's", "cobbler's"),
    "pattern": ("striped", "checked", "plain", "flowery", "dotted", "velvet", "linen", "lace"),
    "duration": ("ages", "an hour", "half the evening", "three attempts", "far too long", "three cups of cocoa"),
}
_OTHERS: Mapping[str, tuple[Sequence[str], Mapping[str, Sequence[str]]]] = {
    "de": (
        ("Im {a} hat es {b} geregnet.", "Der Nachbar hat {b} den {a} gefegt.", "{b} stand eine Taube im {a}."),
        {
            "a": ("Hof", "Garten", "Park", "Keller", "Flur", "Vorgarten", "Hinterhof", "Carport"),
            "b": ("gestern", "lange", "heftig", "wieder", "stundenlang", "kurz", "mittags", "abends"),
        },
    ),
    "es": (
        ("En el {a} llovió {b}.", "El vecino barrió {b} el {a}.", "Había palomas {b} en el {a}."),
        {
            "a": ("patio", "jardín", "parque", "sótano", "pasillo", "balcón", "garaje", "portal"),
            "b": ("otra vez", "mucho", "un rato", "al mediodía", "por la noche", "sin parar", "temprano", "despacio"),
        },
    ),
    "fr": (
        ("Il a plu {b} dans le {a}.", "Le voisin a balayé {b} le {a}.", "Il y avait {b} des pigeons dans le {a}."),
        {
            "a": ("jardin", "parc", "couloir", "garage", "hall", "square", "potager", "grenier"),
            "b": ("encore", "longtemps", "un peu", "le soir", "à midi", "sans arrêt", "tôt", "tranquillement"),
        },
    ),
    "ru": (
        ("{b} в {a} шёл дождь.", "{b} сосед подметал в {a}.", "{b} в {a} сидели голуби."),
        {
            "a": ("саду", "дворе", "парке", "подвале", "коридоре", "гараже", "подъезде", "сквере"),
            "b": ("Опять", "Долго", "Недолго", "Вечером", "Утром", "Днём", "Ночью", "Весь день"),
        },
    ),
    "ar": (
        ("أمطرت {b} في {a}.", "كنس الجار {a} {b}.", "كان الحمام {b} في {a}."),
        {
            "a": ("الحديقة", "الفناء", "القبو", "الممر", "المرآب", "الشرفة", "الساحة", "الشارع"),
            "b": ("أمس", "طويلا", "قليلا", "مساء", "صباحا", "ليلا", "ظهرا", "كثيرا"),
        },
    ),
    "hi": (
        ("{a} में {b} बारिश हुई।", "पड़ोसी ने {b} {a} में झाड़ू लगाई।", "{a} में {b} कबूतर बैठे थे।"),
        {
            "a": ("बगीचे", "आँगन", "पार्क", "तहखाने", "गलियारे", "गैराज", "बरामदे", "मैदान"),
            "b": ("कल", "देर तक", "थोड़ी देर", "शाम को", "सुबह", "रात को", "दोपहर को", "फिर से"),
        },
    ),
    "zh": (
        ("{a}里{b}下了雨。", "邻居{b}打扫了{a}。", "{b}有鸽子停在{a}里。"),
        {
            "a": ("花园", "院子", "公园", "地下室", "走廊", "车库", "阳台", "广场"),
            "b": ("昨天", "整天", "一会儿", "傍晚", "早上", "夜里", "中午", "又"),
        },
    ),
    "ja": (
        ("{b}{a}に雨が降った。", "隣の人が{b}{a}を掃いていた。", "{b}{a}に鳩がいた。"),
        {
            "a": ("庭", "中庭", "公園", "地下室", "廊下", "車庫", "ベランダ", "広場"),
            "b": ("昨日", "一日中", "少し", "夕方", "朝", "夜", "昼", "また"),
        },
    ),
    "ko": (
        ("{b} {a}에 비가 왔다.", "이웃이 {b} {a}을 쓸었다.", "{b} {a}에 비둘기가 있었다."),
        {
            "a": ("정원", "마당", "공원", "지하실", "골목", "차고", "뒤뜰", "광장"),
            "b": ("어제", "하루 종일", "잠깐", "저녁에", "아침에", "밤에", "낮에", "또"),
        },
    ),
}


def sentences(rng: Random, count: int, language: str = ENGLISH) -> list[str]:
    """Return so many unrelated texts; where another language than English is spoken, every second one is English."""
    english = (_ENGLISH_TEMPLATES, _ENGLISH_WORDS)
    spoken = [english] if language == ENGLISH else [_OTHERS[language], english]
    return [_filled(rng, *spoken[place % len(spoken)]) for place in range(count)]


def _filled(rng: Random, templates: Sequence[str], words: Mapping[str, Sequence[str]]) -> str:
    return _BLANK.sub(lambda blank: rng.choice(words[blank[1]]), rng.choice(templates))
