"""The everyday cases: how tables are read, how a case is put among other messages, and what is made of the hits."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality.everyday import exporting, histories, unrelated
from benchmarks.quality.everyday.cases import Case, Said, read_cases, read_line
from benchmarks.quality.everyday.surroundings import AMID, APART, CHAT, NOTES, PlacedCase, messages_of, place, place_all
from benchmarks.quality.everyday.verdicts import figures, judge, relevances
from benchmarks.quality.sets import read_set
from memstream.contracts.searches import Hit

AXES = {
    *("accents", "case", "change", "exact", "forms", "languages", "long", "never", "note", "paraphrase", "role"),
    *("short", "speaker", "spelling", "time"),
}
LANGUAGES = {"ar", "de", "es", "fr", "hi", "ja", "ko", "ru", "zh"}
BAKED = Case(
    "speaker",
    "bake",
    (Said("I baked a cake.", "Bo"), Said("Lovely.", "Cy"), Said("I baked a cake.", "Ann")),
    "What did Ann bake?",
    first=frozenset({2}),
    above=((2, 0),),
    least=0.5,
)


def hit(message_id: str, relevance: float = 0.9) -> Hit:
    return Hit(
        message_id=message_id,
        conversation_id=None,
        role="user",
        speaker=None,
        kind="message",
        text="I baked a cake.",
        occurred_at=datetime(2024, 5, 1, tzinfo=UTC),
        metadata={},
        relevance=relevance,
        signals={},
    )


def hits(placed: PlacedCase, *order: int, relevance: float = 0.9) -> list[Hit]:
    return [hit(placed.ids[said], relevance - rank / 100) for rank, said in enumerate(order)]


def texts(placed: PlacedCase) -> list[str]:
    return [message["text"] for message in sorted(placed.messages, key=lambda one: str(one["occurred_at"]))]


def test_there_are_two_hundred_cases_of_every_axis_and_language() -> None:
    cases = read_cases()

    assert len(cases) >= 200
    assert {case.axis for case in cases} == AXES
    assert {case.language for case in cases} == {*LANGUAGES, unrelated.ENGLISH}
    assert all(case.first or case.most is not None for case in cases)
    assert all(place in range(len(case.said)) for case in cases for place in case.first)


def test_a_line_of_pairs_is_a_case_for_each_question_with_all_texts() -> None:
    line = {"id": "codes", "least": 0.5, "pairs": [["The gate is 1.", "Gate?"], ["The safe is 2.", "Safe?"]]}

    first, second = read_line("exact", line)

    assert (first.label, second.label) == ("exact/codes-1", "exact/codes-2")
    assert first.said == second.said == (Said("The gate is 1."), Said("The safe is 2."))
    assert (second.ask, second.first, second.least) == ("Safe?", frozenset({1}), 0.5)


def test_a_line_of_times_asks_nothing_where_there_is_no_question() -> None:
    line: dict[str, Any] = {
        "id": "lunch",
        "as_of": "2024-06-14T20:00:00Z",
        "dated": [["2024-06-13T12:00:00Z", "Soup.", None], ["2024-06-14T12:00:00Z", "Rice.", "Today?"]],
    }

    (case,) = read_line("time", line)

    assert (case.ask, case.first, case.as_of) == ("Today?", frozenset({1}), "2024-06-14T20:00:00Z")
    assert case.said[0] == Said("Soup.", at="2024-06-13T12:00:00Z")


def test_what_is_hidden_stands_in_the_middle_of_a_long_text() -> None:
    (case,) = read_line("long", {"id": "letter", "hidden": [["The fox ran.", "What ran?"]]})

    (said,) = case.said
    before, _, after = said.text.partition(" The fox ran. ")
    assert min(len(before), len(after)) > 300
    assert [case] == list(read_line("long", {"id": "letter", "hidden": [["The fox ran.", "What ran?"]]}))


def test_a_question_that_nothing_answers_has_a_most_relevance() -> None:
    cases = list(read_line("never", {"id": "home", "said": ["Hi."], "never": ["Who?", "Why?"]}))

    assert [(case.name, case.ask, case.most) for case in cases] == [("home-1", "Who?", 0.1), ("home-2", "Why?", 0.1)]


def test_a_misspelt_field_of_a_line_is_refused() -> None:
    with pytest.raises(ValueError, match="note/wifi: no case has frist"):
        list(read_line("note", {"id": "wifi", "said": ["Hi."], "ask": "Who?", "frist": 0}))


@pytest.mark.parametrize("shape", [NOTES, APART, AMID])
def test_a_case_among_others_is_the_same_for_the_same_seed(shape: str) -> None:
    one = place(BAKED, 20, shape, seed=7)

    assert one == place(BAKED, 20, shape, seed=7)
    assert one.user_id != place(BAKED, 20, shape, seed=8).user_id
    assert len(one.messages) == len({message["message_id"] for message in one.messages}) == 23
    by_id = {message["message_id"]: message for message in one.messages}
    assert [(by_id[name]["text"], by_id[name]["speaker"]) for name in one.ids] == [
        (said.text, said.speaker) for said in BAKED.said
    ]


def test_notes_have_no_conversation() -> None:
    messages = place(BAKED, 20, NOTES, seed=1).messages

    assert not any("conversation_id" in message for message in messages)
    assert Counter(message.get("speaker") for message in messages) == {None: 20, "Ann": 1, "Bo": 1, "Cy": 1}


def test_apart_a_case_is_a_conversation_of_its_own() -> None:
    placed = place(BAKED, 20, APART, seed=1)

    own = {message["conversation_id"] for message in placed.messages if message["message_id"] in placed.ids}
    others = {message["conversation_id"] for message in placed.messages if message["message_id"] not in placed.ids}
    assert len(own) == 1
    assert own.isdisjoint(others)


def test_amid_a_case_stands_in_the_middle_of_a_conversation() -> None:
    placed = place(BAKED, 10, AMID, seed=1)

    assert {message["conversation_id"] for message in placed.messages} == {"talk-0"}
    told = texts(placed)
    start = told.index("I baked a cake.")
    assert told[start : start + 3] == [said.text for said in BAKED.said]
    assert 3 <= start <= 6


def test_in_a_chat_nobody_has_a_name() -> None:
    case = Case("note", "wifi", (Said("The password is mango."),), "Password?", first=frozenset({0}))

    messages = place(case, 20, CHAT, seed=1).messages

    assert not any("speaker" in message for message in messages)
    assert all("conversation_id" in message for message in messages)
    assert Counter(message["role"] for message in messages) == {"user": 11, "assistant": 10}
    assert place_all([BAKED], [20], [CHAT], seed=1) == []


def test_what_was_said_at_other_times_stands_in_other_conversations() -> None:
    said = (Said("I live in Lyon.", at="2023-02-03T10:00:00Z"), Said("I live in Ghent.", at="2024-05-02T10:00:00Z"))

    placed = place(Case("change", "lives", said, "Where?"), 20, AMID, seed=1)

    by_id = {message["message_id"]: message for message in placed.messages}
    assert len({by_id[name]["conversation_id"] for name in placed.ids}) == 2
    assert by_id[placed.ids[0]]["occurred_at"] == "2023-02-03T10:00:00+00:00"


def test_with_nobody_around_apart_and_amid_are_asked_once() -> None:
    placed = place_all([BAKED], [0, 20], [NOTES, APART, AMID], seed=1)

    assert [(one.size, one.shape) for one in placed] == [(0, NOTES), (0, APART), (20, NOTES), (20, APART), (20, AMID)]


def test_cases_that_say_the_same_are_asked_of_one_history() -> None:
    other = Case("speaker", "bake-bo", BAKED.said, "What did Bo bake?", first=frozenset({0}))
    silent = Case("speaker", "silent", BAKED.said[:1], "What did Bo bake?", first=frozenset({0}))

    placed = place_all([BAKED, other, silent], [20], [APART], seed=1)

    assert [one.case for one in placed] == [BAKED, other, silent]
    assert placed[0].user_id == placed[1].user_id != placed[2].user_id
    assert len(list(messages_of(placed))) == 23 + 21


def test_what_is_said_around_cases_is_mostly_the_same_on_the_same_day() -> None:
    others = [Case("note", str(number), (Said(f"It is number {number}."),), "?") for number in range(9)]

    messages = list(messages_of(place_all(others, [500], [NOTES], seed=1)))

    assert len(messages) == 9 * 501
    assert len({(message["text"], message["occurred_at"]) for message in messages}) <= 1000 + 9


@pytest.mark.parametrize("size", [5, 50, 500])
def test_every_note_is_asked_for_in_a_history_of_so_many_messages(size: int) -> None:
    notes, never = histories.read_notes()

    placed = list(histories.place_notes(size, AMID, seed=1))

    assert [one.case.ask for one in placed if one.case.first] == [ask for _, ask in notes]
    assert sorted(one.case.ask for one in placed if one.case.most) == sorted(never)
    assert {len(one.messages) for one in placed} == {size}
    for one in placed:
        texts = {message["message_id"]: message["text"] for message in one.messages}
        told = [texts[one.ids[said]] for said in one.case.first]
        assert told in ([], [text for text, ask in notes if ask == one.case.ask])


def test_there_are_a_few_dozen_notes_and_a_hundred_questions_that_none_answers() -> None:
    notes, never = histories.read_notes()

    assert len({ask for _, ask in notes}) == len(notes) >= 36
    assert len(set(never)) == len(never) == 100


def test_a_note_that_is_not_the_first_hit_counts_as_not_relevant() -> None:
    placed = list(histories.place_notes(5, NOTES, seed=1))
    notes = [one for one in placed if one.case.first][:2]
    never = [one for one in placed if one.case.most][:4]
    found, lost = judge(notes[0], hits(notes[0], 0)), judge(notes[1], [hit("another", 0.95), *hits(notes[1], 0)])
    silent = [judge(one, [hit("x", relevance)]) for one, relevance in zip(never, (0.0, 0.1, 0.2, 0.05), strict=True)]

    told = histories.at_size([found, lost, *silent])

    assert (told.notes, told.first, told.sure, told.median) == (2, 0.5, 1.0, 0.45)
    assert (told.never, told.within, told.highest) == (4, 0.75, 0.2)


def test_a_case_is_held_when_order_and_relevance_are() -> None:
    placed = place(BAKED, 0, NOTES, seed=1)

    verdict = judge(placed, hits(placed, 2, 0))

    assert verdict.passed
    assert (verdict.right_relevance, verdict.came, verdict.complaints) == (0.9, "", ())


def test_of_what_did_not_hold_it_says_what_came_instead() -> None:
    placed = place(BAKED, 0, NOTES, seed=1)

    verdict = judge(placed, hits(placed, 0, 2, relevance=0.4))

    assert (verdict.order_held, verdict.relevance_held, verdict.right_relevance) == (False, False, None)
    assert verdict.complaints == (
        'not first: "I baked a cake."',
        'not above "I baked a cake.": "I baked a cake."',
        "relevance 0.39 < 0.5",
    )
    assert verdict.came == '"I baked a cake." (0.40); "I baked a cake." (0.39)'


def test_what_is_not_found_is_above_nothing() -> None:
    placed = place(BAKED, 0, NOTES, seed=1)

    assert not judge(placed, []).order_held


def test_an_answer_has_to_be_among_so_many_first_hits() -> None:
    case = Case("short", "when", (Said("When?"), Said("On Friday.")), "When is it?", frozenset({0, 1}), found=((1, 2),))
    placed = place(case, 5, NOTES, seed=1)

    assert judge(placed, hits(placed, 0, 1)).passed
    others = [hit(str(message["message_id"])) for message in placed.messages if message["message_id"] not in placed.ids]
    assert judge(placed, [*hits(placed, 0), others[0], *hits(placed, 1)]).complaints == (
        'not among the first 2: "On Friday."',
    )


@pytest.mark.parametrize(("relevance", "held"), [(0.1, True), (0.2, False)])
def test_nothing_may_be_relevant_where_nothing_was_said(relevance: float, held: bool) -> None:  # noqa: FBT001 - a case
    placed = place(Case("never", "home", (Said("Hi."),), "Who?", most=0.1), 0, NOTES, seed=1)

    verdict = judge(placed, hits(placed, 0, relevance=relevance))

    assert (verdict.passed, verdict.never_relevance) == (held, relevance)


def test_a_case_counts_once_in_however_many_surroundings() -> None:
    placed = place_all([BAKED], [0, 20], [NOTES, APART], seed=1)
    verdicts = [judge(one, hits(one, 2)) for one in placed[:3]] + [judge(placed[3], [])]

    counted = figures(verdicts)

    assert (counted.cases, counted.asked, counted.passed, counted.order_held) == (1, 4, 3, 3)
    assert counted.low < 0.2
    told = relevances(verdicts)
    assert (told.right, told.right_median, told.never, told.never_highest) == (3, 0.9, 0, None)


def test_written_as_a_set_they_are_read_as_one_but_for_those_that_depend_on_the_day(tmp_path: Path) -> None:
    dated = Case("time", "lunch", (Said("Soup."),), "What today?", frozenset({0}), as_of="2024-06-14T20:00:00Z")
    placed = place_all([BAKED, dated], [2], [NOTES], seed=1)

    exporting.write_set(placed, tmp_path / "everyday")

    read = read_set(tmp_path / "everyday", tmp_path)
    assert [(one.question, one.category, one.evidence) for one in read.questions] == [
        ("What did Ann bake?", "speaker", frozenset({placed[0].ids[2]}))
    ]
    assert set(read.owners().values()) == {placed[0].user_id}
