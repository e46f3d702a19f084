"""Texts as words with blanks between them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.vectors.segmentation import fold, segment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's 3 o'clock: KX-4471", "It's 3 o'clock: KX-4471"),
        ("Café", "Cafe"),
        ("Cafe\u0301", "Cafe"),
        ("\uff57\uff49\uff46\uff49\u3000\uff14\uff12", "wifi 42"),
        ("ёлка, большой Йод", "елка, большой Йод"),
        ("أختي تُدَرِّس", "اختي تدرس"),
        ("पढ़ाती विज्ञान", "पढाती विजञान"),
        ("ガラス", "ガラス"),
        ("ｶﾞﾗｽ", "ガラス"),
        ("한글", "한글"),
        (unicodedata.normalize("NFD", "한글"), "한글"),
        ("Straße Øre Łódź œuf", "Strasse Ore Lodz oeuf"),
    ],
)
def test_a_character_has_one_spelling_and_no_accents(text: str, expected: str) -> None:
    assert fold(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("芒果湖42。", "芒果 果湖 42。"),
        ("茶", "茶"),
        ("マンゴー湖42です", "マン ンゴ ゴー ー湖 42 です"),
        ("망고호수 42입니다", "망고 고호 호수 42 입니 니다"),
        ("我的wifi密码", "我的 wifi 密码"),
        ("Wo ist der Schlüssel?", "Wo ist der Schlussel?"),
    ],
)
def test_scripts_without_blanks_become_pairs_of_characters(text: str, expected: str) -> None:
    assert " ".join(segment(text).split()) == expected


@given(st.text())
def test_any_text_is_segmented_and_folded_once_is_folded(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert segment(fold(text)) == segment(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_texts_stay_as_they_are(text: str) -> None:
    assert segment(text) == text
