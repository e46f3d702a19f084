"""Times that questions in other languages than English name."""

import time
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.asking.languages import ENGLISH, LANGUAGES, language_of
from memstream.retriever.asking.periods import Period, Recurring
from memstream.retriever.asking.questions import read_question
from memstream.retriever.asking.time_words import states_time, times_in_english

NOW = datetime(2024, 8, 20, 12, tzinfo=UTC)
"""A Tuesday."""
OTHERS = [language for language in LANGUAGES if language != ENGLISH]
LONGEST = 4000
"""Characters, about as many as a question may have."""


def days(first: str, last: str | None = None) -> Period:
    """Make a period of days in ISO 8601."""
    return Period(date.fromisoformat(first), date.fromisoformat(last or first))


@pytest.mark.parametrize(
    ("language", "question", "named"),
    [
        ("de", "Was habe ich gestern gegessen?", days("2024-08-19")),
        ("de", "Was habe ich letzte Woche gekauft?", days("2024-08-12", "2024-08-18")),
        ("de", "Wen habe ich im April getroffen?", Recurring(4, None)),
        ("de", "Was war am 7. los?", Recurring(None, 7)),
        ("de", "Was ist am 7. April 2023 passiert?", days("2023-04-07")),
        ("de", "Was habe ich vor drei Tagen gesagt?", days("2024-08-17")),
        ("de", "Was habe ich letzten Mai gemacht?", days("2024-05-01", "2024-05-31")),
        ("de", "Was habe ich am Montag gemacht?", days("2024-08-19")),
        ("es", "¿Qué comí ayer?", days("2024-08-19")),
        ("es", "¿Qué compré la semana pasada?", days("2024-08-12", "2024-08-18")),
        ("es", "¿A quién vi en abril?", Recurring(4, None)),
        ("es", "¿Qué pasó el 7 de abril de 2023?", days("2023-04-07")),
        ("es", "¿Qué hice el lunes?", days("2024-08-19")),
        ("es", "¿Qué hice hace 3 días?", days("2024-08-17")),
        ("es", "¿Qué hice el 7?", Recurring(None, 7)),
        ("fr", "Qu'est-ce que j'ai mangé hier ?", days("2024-08-19")),
        ("fr", "Qui ai-je vu la semaine dernière ?", days("2024-08-12", "2024-08-18")),
        ("fr", "Où étais-je en avril ?", Recurring(4, None)),
        ("fr", "Que s'est-il passé le 7 ?", Recurring(None, 7)),
        ("fr", "Que s'est-il passé le 7 avril 2023 ?", days("2023-04-07")),
        ("fr", "Qu'ai-je fait lundi ?", days("2024-08-19")),
        ("fr", "Qu'ai-je fait il y a 3 jours ?", days("2024-08-17")),
        ("pt", "O que eu comi ontem?", days("2024-08-19")),
        ("pt", "Quem eu vi na semana passada?", days("2024-08-12", "2024-08-18")),
        ("pt", "O que aconteceu em abril de 2023?", days("2023-04-01", "2023-04-30")),
        ("it", "Cosa ho mangiato ieri?", days("2024-08-19")),
        ("it", "Chi ho visto la settimana scorsa?", days("2024-08-12", "2024-08-18")),
        ("it", "Dove ero ad aprile?", Recurring(4, None)),
        ("it", "Cosa ho fatto il 7?", Recurring(None, 7)),
        ("it", "Cosa ho fatto lunedì?", days("2024-08-19")),
        ("nl", "Wat heb ik gisteren gegeten?", days("2024-08-19")),
        ("nl", "Wie heb ik vorige week gezien?", days("2024-08-12", "2024-08-18")),
        ("nl", "Waar was ik in april?", Recurring(4, None)),
        ("nl", "Wat deed ik op de 7e?", Recurring(None, 7)),
        ("nl", "Wat deed ik op maandag?", days("2024-08-19")),
        ("ru", "Что я ел вчера?", days("2024-08-19")),
        ("ru", "Кого я видел на прошлой неделе?", days("2024-08-12", "2024-08-18")),
        ("ru", "Где я был в апреле?", Recurring(4, None)),
        ("ru", "Что было 7 апреля 2023?", days("2023-04-07")),
        ("ru", "Что я делал в понедельник?", days("2024-08-19")),
        ("ru", "Что я делал в среду?", days("2024-08-14")),
        ("ru", "Что я делал 3 дня назад?", days("2024-08-17")),
        ("ru", "Что было 7-го?", Recurring(None, 7)),
        ("ar", "ماذا أكلت أمس؟", days("2024-08-19")),
        ("ar", "ماذا أكلت بالأمس؟", days("2024-08-19")),
        ("ar", "من رأيت الأسبوع الماضي؟", days("2024-08-12", "2024-08-18")),
        ("ar", "أين كنت في أبريل؟", Recurring(4, None)),
        ("ar", "ماذا فعلت يوم الاثنين؟", days("2024-08-19")),
        ("ar", "ماذا حدث يوم 7؟", Recurring(None, 7)),
        ("hi", "मैंने कल क्या खाया?", days("2024-08-19")),
        ("hi", "मैं अप्रैल में कहाँ था?", Recurring(4, None)),
        ("hi", "मैंने पिछले साल क्या खरीदा?", days("2023-01-01", "2023-12-31")),
        ("hi", "मैंने सोमवार को क्या किया?", days("2024-08-19")),
        ("hi", "मैंने 7 तारीख को क्या किया?", Recurring(None, 7)),
        ("hi", "मैंने 3 दिन पहले क्या किया?", days("2024-08-17")),
        ("zh", "我昨天吃了什么？", days("2024-08-19")),
        ("zh", "我上周见了谁？", days("2024-08-12", "2024-08-18")),
        ("zh", "我四月去了哪里？", Recurring(4, None)),
        ("zh", "2023年4月7日发生了什么？", days("2023-04-07")),
        ("zh", "我星期二做了什么？", days("2024-08-13")),
        ("zh", "3天前我做了什么？", days("2024-08-17")),
        ("zh", "7号发生了什么？", Recurring(None, 7)),
        ("zh", "去年我买了什么？", days("2023-01-01", "2023-12-31")),
        ("ja", "昨日何を食べましたか？", days("2024-08-19")),
        ("ja", "先週誰に会いましたか？", days("2024-08-12", "2024-08-18")),
        ("ja", "4月にどこにいましたか？", Recurring(4, None)),
        ("ja", "2023年4月7日に何がありましたか？", days("2023-04-07")),
        ("ja", "月曜日に何をしましたか？", days("2024-08-19")),
        ("ja", "3日前に何をしましたか？", days("2024-08-17")),
        ("ja", "7日に何がありましたか？", Recurring(None, 7)),
        ("ko", "어제 뭐 먹었어?", days("2024-08-19")),
        ("ko", "지난주에 누구를 만났어?", days("2024-08-12", "2024-08-18")),
        ("ko", "4월에 어디에 있었어?", Recurring(4, None)),
        ("ko", "2023년 4월 7일에 무슨 일이 있었어?", days("2023-04-07")),
        ("ko", "월요일에 뭐 했어?", days("2024-08-19")),
        ("ko", "3일 전에 뭐 했어?", days("2024-08-17")),
        ("ko", "7일에 무슨 일이 있었어?", Recurring(None, 7)),
        ("ko", "작년에 뭐 샀어?", days("2023-01-01", "2023-12-31")),
        ("ko", "나는 10월 10일에 뭐 했어?", Recurring(10, 10)),
        ("pt", "O que você me disse no dia 7?", Recurring(None, 7)),
        ("pt", "Com quem eu falei na segunda-feira, você sabe?", days("2024-08-19")),
    ],
)
def test_a_time_is_read_in_its_language(language: str, question: str, named: Period | Recurring) -> None:
    asked = read_question(question, NOW)

    assert (asked.wording.language, asked.times) == (language, (named,))


@pytest.mark.parametrize(
    "question",
    [
        "Wo liegt der Schlüssel?",
        "¿Dónde está la llave?",
        "我的密码是什么",
        "鍵はどこですか",
        "Где мой ключ?",
        "열쇠 어디?",
    ],
)
def test_a_question_without_a_time_names_none(question: str) -> None:
    assert read_question(question, NOW).times == ()


@pytest.mark.parametrize(
    ("language", "text", "stated"),
    [
        ("de", "der termin ist am dienstag", True),
        ("de", "die katze schläft", False),
        ("fr", "le rendez-vous est mardi à trois heures", True),
        ("ru", "приём во вторник", True),
        ("zh", "预约在星期二", True),
        ("ja", "4月7日です", True),
        ("ja", "鍵です", False),
    ],
)
def test_a_text_states_a_time_by_the_names_of_days_and_months(language: str, text: str, *, stated: bool) -> None:
    assert states_time(text, language) == stated


@given(st.text(max_size=200))
def test_any_text_has_a_language_and_can_be_read(text: str) -> None:
    assert language_of(text) in LANGUAGES
    assert read_question(text, NOW).text == text


@given(st.sampled_from(OTHERS), st.text(st.sampled_from("0123456789年月日号일월 .-apriletz昨天vor"), max_size=60))
def test_numbers_and_words_of_time_in_any_order_can_be_read(language: str, text: str) -> None:
    assert isinstance(times_in_english(text, language), str)


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("piece", ["a", "1", " ", "1 ", "vor 1 ", "年", "12年", "1月", "letzte ", "é", "昨天", "अ"])
def test_the_longest_question_is_read_in_bounded_time(language: str, piece: str) -> None:
    text = (piece * LONGEST)[:LONGEST]
    times_in_english("", language)  # its tables are loaded once

    start = time.thread_time()
    times_in_english(text, language)

    assert time.thread_time() - start < 1.0


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is the spare key?", "en"),
        ("The café near Zoë's is closed.", "en"),
        ("wifi password", "en"),
        ("KX-4471", "en"),
        ("", "en"),
        ("👍", "en"),
        ("กุญแจอยู่ที่ไหน", "en"),
        ("Los Angeles Rams, Los Angeles Lakers, Los Angeles Kings: all of them play there", "en"),
        ("Der Ersatzschlüssel liegt unter dem Blumentopf.", "de"),
        ("donde esta la llave", "es"),
        ("Ma sœur enseigne la chimie.", "fr"),
        ("As chaves estão na gaveta, não na mesa.", "pt"),
        ("Ho messo le chiavi nel cassetto.", "it"),
        ("Ik heb de sleutels in de doos gelegd.", "nl"),
    ],
)
def test_a_text_has_the_language_of_its_function_words(text: str, language: str) -> None:
    assert language_of(text) == language
