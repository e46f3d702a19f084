"""Times that a question names."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.asking import read_question
from memstream.retriever.asking.periods import Period, Recurring, times_in

TODAY = date(2024, 8, 20)
"""A Tuesday."""


def days(first: str, last: str | None = None) -> Period:
    """Make a period of days in ISO 8601."""
    return Period(date.fromisoformat(first), date.fromisoformat(last or first))


@pytest.mark.parametrize(
    ("question", "time"),
    [
        ("What did I do last May?", days("2024-05-01", "2024-05-31")),
        ("What did I do last October?", days("2023-10-01", "2023-10-31")),
        ("What did we talk about on the 7th?", Recurring(None, 7)),
        ("What setback did Melanie face in October 2023?", days("2023-10-01", "2023-10-31")),
        ("Who came in December?", Recurring(12, None)),
        ("Who came on 24 December?", Recurring(12, 24)),
        ("Who came on December 24th?", Recurring(12, 24)),
        ("Who came on the 3rd of June, 2022?", days("2022-06-03")),
        ("Who came on June 3, 2022?", days("2022-06-03")),
        ("Who came on 2022-06-03?", days("2022-06-03")),
        ("When did John get an injury in 2023?", days("2023-01-01", "2023-12-31")),
        ("What did I say yesterday?", days("2024-08-19")),
        ("What did I say today?", days("2024-08-20")),
        ("What did I say last night?", days("2024-08-19")),
        ("What happened three weeks ago?", days("2024-07-27", "2024-08-02")),
        ("What happened a day ago?", days("2024-08-19")),
        ("What happened 2 years ago?", days("2022-02-20", "2023-02-19")),
        ("What happened last week?", days("2024-08-12", "2024-08-18")),
        ("What happened this week?", days("2024-08-19", "2024-08-25")),
        ("What happened last month?", days("2024-07-01", "2024-07-31")),
        ("What happened this year?", days("2024-01-01", "2024-12-31")),
        ("What did I do on Monday?", days("2024-08-19")),
        ("What did I do on Tuesday?", days("2024-08-13")),
        ("What did I do last Sunday?", days("2024-08-18")),
    ],
)
def test_a_time_is_read(question: str, time: Period | Recurring) -> None:
    assert times_in(question, TODAY) == (time,)


@pytest.mark.parametrize(
    "question",
    [
        "May I ask what we did?",
        "Will they march on?",
        "How many weeks do I have left?",
        "What about the 30th of February 2023?",
        "What was 999 years ago?",
        "Where did I buy 12 apples?",
        "",
    ],
)
def test_no_time_is_read_where_there_is_none(question: str) -> None:
    assert times_in(question, TODAY) == ()


def test_several_times_are_all_read() -> None:
    assert times_in("Between March 3 and March 9, 2024?", TODAY) == (Recurring(3, 3), days("2024-03-09"))


def test_the_days_beside_a_period_count_half_since_zones_differ() -> None:
    period, recurring = days("2024-03-01", "2024-03-02"), Recurring(3, 1)

    assert [period.share(date(2024, 3, day)) for day in range(1, 6)] == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert period.share(date(2024, 2, 29)) == 0.5
    assert [recurring.share(date(2023, 3, day)) for day in (1, 2, 3)] == [1.0, 0.5, 0.0]
    assert recurring.share(date(2023, 2, 28)) == 0.5
    assert [Recurring(3, None).share(date(2023, month, 31)) for month in (3, 5)] == [1.0, 0.0]


@given(st.text(), st.dates(date(2, 1, 1), date(9000, 1, 1)))
def test_any_text_is_read_on_any_day(question: str, today: date) -> None:
    for time in times_in(question, today):
        assert time.share(today) in {0.0, 0.5, 1.0}


@given(
    st.sampled_from(["{} days ago", "last week {}", "in May {}", "{} years ago", "on the {}th", "{} May {}"]),
    st.integers(0, 3000),
    st.dates(date(1900, 1, 1), date(2100, 1, 1)),
)
def test_a_period_of_the_past_has_an_order(shape: str, number: int, today: date) -> None:
    for time in times_in(shape.replace("{}", str(number)), today):
        if isinstance(time, Period):
            assert time.first <= time.last
            assert time.share(time.first) == 1.0
            assert time.share(time.last + timedelta(days=2)) == 0.0


def test_a_day_is_the_askers() -> None:
    # Half past one in the morning of the 4th in Tokyo is the 3rd in UTC.
    asked = datetime(2024, 3, 5, 9, tzinfo=timezone(timedelta(hours=9)))
    question = read_question("What did I eat yesterday?", asked)

    assert question.time_share(datetime(2024, 3, 3, 16, 30, tzinfo=UTC)) == 1.0
    assert question.time_share(datetime(2024, 3, 3, 14, 30, tzinfo=UTC)) == 0.5
    assert question.time_share(datetime(2024, 3, 2, 14, 30, tzinfo=UTC)) == 0.0
