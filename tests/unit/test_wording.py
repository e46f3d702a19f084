"""What the wording of questions and messages says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.asking.wording import content_words, has_requested_detail, read_wording, stems
from memstream.retriever.asking.words import spaced_words

ascii_texts = st.text(st.characters(max_codepoint=127))


@given(ascii_texts)
def test_words_are_spaced_by_one_blank_whatever_stood_between_them(text: str) -> None:
    words = " ".join(re.findall(r"\w+", text.lower()))

    assert spaced_words(text.lower()) == f" {words} "


@given(ascii_texts | st.text())
def test_a_text_that_says_the_question_says_all_of_it(text: str) -> None:
    spaced = spaced_words(text.lower())

    assert all(stem in spaced for stem in stems(read_wording(text).terms))


def test_words_of_asking_are_none_of_what_is_told() -> None:
    assert read_wording("How many different lakes did I mention across my conversations?").terms == ("lakes",)
    assert read_wording("Summarize what was discussed, and your thoughts about lakes").terms == ("thoughts", "lakes")


@pytest.mark.parametrize(
    ("question", "is_first_person", "asks_assistant"),
    [
        ("How did you recommend planning my week?", False, True),
        ("What have you suggested for my garden?", False, True),
        ("What would you suggest for my garden?", True, False),
        ("Where did I park?", True, False),
        ("Where did Ann park?", False, False),
    ],
)
def test_who_asks_what_the_assistant_said_does_not_ask_about_themself(
    question: str, *, is_first_person: bool, asks_assistant: bool
) -> None:
    wording = read_wording(question)

    assert (wording.is_first_person, wording.asks_assistant) == (is_first_person, asks_assistant)


@pytest.mark.parametrize(
    ("question", "is_present"),
    [
        ("How many books are on my shelf?", True),
        ("What is my current address?", True),
        ("Have I ever baked bread?", True),
        ("Where did I park?", False),
        ("What is the name of the dog I had before?", False),
        ("Names of my cousins", False),
    ],
)
def test_a_question_about_the_present_is_told_from_one_about_the_past(question: str, *, is_present: bool) -> None:
    assert read_wording(question).is_present == is_present


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don’t “stop”…", "don t stop"),
        ("Zoë’s CAFÉ", "zoe s cafe"),
        ("re\u0301sume\u0301", "resume"),
        ("Straße", "strasse"),
        ("无线网络密码42", "无线 线网 网络 络密 密码 42"),
        ("와이파이 비밀번호는", "와이 이파 파이 비밀 밀번 번호 호는"),
        ("रसायन विज्ञान", "रसायन विजञान"),
        ("kx-4471", "kx 4471"),
    ],
)
def test_words_of_any_script_are_spaced_and_without_accents(text: str, words: str) -> None:
    assert spaced_words(text.lower()) == f" {words} "


@given(st.text())
def test_any_text_has_spaced_words(text: str) -> None:
    assert spaced_words(text).split() == spaced_words(spaced_words(text)).split()


@pytest.mark.parametrize(
    ("question", "first_person", "time", "number"),
    [
        ("Wann habe ich meinen Zahnarzttermin?", True, True, False),
        ("Wie viele Katzen hat Theo?", False, False, True),
        ("¿Cuándo es mi cita con el dentista?", True, True, False),
        ("¿Cuántos gatos tiene Teo?", False, False, True),
        ("Quand est-ce que j'ai rendez-vous ?", True, True, False),
        ("Combien de chats a Théo ?", False, False, True),
        ("Quando é a minha consulta no dentista, você sabe?", True, True, False),
        ("Quanti gatti ha il mio amico?", True, False, True),
        ("Wanneer moet ik naar de tandarts?", True, True, False),
        ("Когда у меня приём у врача?", True, True, False),
        ("Сколько кошек у Тео?", False, False, True),
        ("متى موعدي عند الطبيب؟", False, True, False),
        ("कितनी बिल्लियाँ हैं?", False, False, True),
        ("मेरी बहन कब आएगी?", True, True, False),
        ("我的牙医预约是什么时候？", True, True, False),
        ("小明有多少只猫？", False, False, True),
        ("私の予約はいつですか？", True, True, False),
        ("내 예약은 언제인가요?", True, True, False),
    ],
)
def test_questions_in_other_languages_say_who_asks_and_for_what(
    question: str, *, first_person: bool, time: bool, number: bool
) -> None:
    wording = read_wording(question)

    assert (wording.is_first_person, wording.asks_time, wording.asks_number) == (first_person, time, number)


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("Wo liegt der Ersatzschlüssel?", ("liegt", "ersatzschlussel")),
        ("¿Dónde está la llave de repuesto?", ("llave", "repuesto")),
        ("Où est la clé de secours ?", ("cle", "secours")),
        ("Где лежит запасной ключ?", ("лежит", "запасной", "ключ")),
        ("¿Dónde trabajo?", ("donde", "trabajo")),
    ],
)
def test_small_words_of_other_languages_are_no_terms(question: str, terms: tuple[str, ...]) -> None:
    assert read_wording(question).terms == terms


def test_a_text_states_a_time_in_the_questions_language() -> None:
    asked = read_wording("Wann ist der Termin beim Zahnarzt?")

    assert has_requested_detail(asked, "der termin ist am dienstag.")
    assert not has_requested_detail(asked, "der termin ist wichtig.")


def test_pairs_of_characters_are_content() -> None:
    assert content_words("我妹妹教化学") == {"我妹", "妹妹", "妹教", "教化", "化学"}


@pytest.mark.parametrize(
    ("question", "is_former"),
    [
        ("Where did Ines live before she moved?", True),
        ("Where did I use to work?", True),
        ("What was the old wifi password?", True),
        ("When was the book club originally?", True),
        ("How old is the house?", False),
        ("What is the wifi password?", False),
    ],
)
def test_a_question_may_ask_how_things_were_before(question: str, is_former: bool) -> None:  # noqa: FBT001 - a row
    assert read_wording(question).is_former == is_former
