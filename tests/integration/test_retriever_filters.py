"""What a filter lets through, and whose messages a question is about."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from exchanges import answered, ids_of, line, post, post_lines, problem, search
from running_stack import RunningStack

MESSAGES: dict[str, dict[str, Any]] = {
    "a": {"conversation_id": "c/1", "role": "user", "speaker": "Ana", "metadata": {"n": 1, "flag": True}},
    "b": {"conversation_id": "c/1", "role": "assistant", "speaker": "Bot", "metadata": {"n": 1.5, "flag": False}},
    "c": {"conversation_id": "c 2", "role": "user", "speaker": "Zoë", "metadata": {"a.b": "dot", "a": {"b": "step"}}},
    "d": {"kind": "note", "speaker": "ana", "metadata": {"tags": ["x", "y"], "n": -(2**63)}},
    "e": {"kind": "note", "metadata": {"[0]": "bracket", "🔑": "emoji", " ": "space", "n": 12345678901234567}},
    "f": {"role": "tool", "metadata": {"whole": 2.0, "large": 1e20, "false": 0, "true": 1}},
}
TIMES = {name: f"2025-05-0{day}T10:00:00Z" for day, name in enumerate(MESSAGES, 1)}
ALL = "".join(MESSAGES)


@pytest_asyncio.fixture(scope="module")
async def owner(stack: RunningStack) -> str:
    """Let a user have said the same words six times, in different circumstances."""
    user = "the one to filter"
    positions = [
        (await post(stack.ingest, user, "a word", message_id=name, occurred_at=TIMES[name], **fields))["position"]
        for name, fields in MESSAGES.items()
    ]
    await search(stack.retriever, user, "x", wait_for=positions)
    return user


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ALL),
        ({"after": "2025-05-03T10:00:00Z"}, "cdef"),
        ({"after": "2025-05-03T10:00:01Z"}, "def"),
        ({"before": "2025-05-03T10:00:00Z"}, "ab"),
        ({"before": "2025-05-03T12:00:01+02:00"}, "abc"),
        ({"after": "2025-05-02T00:00:00Z", "before": "2025-05-04T00:00:00Z"}, "bc"),
        ({"after": "2025-05-04T00:00:00Z", "before": "2025-05-02T00:00:00Z"}, ""),
        ({"after": "0001-01-01T00:00:00+14:00", "before": "9999-12-31T23:59:59-14:00"}, ALL),
        ({"conversation_id": "c/1"}, "ab"),
        ({"conversation_id": ["c/1", "c 2"]}, "abc"),
        ({"conversation_id": "c"}, ""),
        ({"conversation_id": []}, ""),
        ({"role": "assistant"}, "b"),
        ({"speaker": "Ana"}, "a"),
        ({"speaker": "Zoë"}, "c"),
        ({"speaker": ["ana", "Ana"]}, "ad"),
        ({"kind": "note"}, "de"),
        ({"kind": "message", "role": "user"}, "ac"),
        ({"kind": "note", "conversation_id": "c/1"}, ""),
        ({"metadata": {"n": 1}}, "a"),
        ({"metadata": {"n": 1.0}}, "a"),
        ({"metadata": {"n": 1.5}}, "b"),
        ({"metadata": {"n": [1, 1.5]}}, "ab"),
        ({"metadata": {"n": []}}, ""),
        ({"metadata": {"n": "1"}}, ""),
        ({"metadata": {"n": -(2**63)}}, "d"),
        ({"metadata": {"n": 12345678901234567}}, "e"),
        ({"metadata": {"n": 12345678901234568}}, ""),
        ({"metadata": {"n": 10**30}}, ""),
        ({"metadata": {"whole": 2}}, "f"),
        ({"metadata": {"whole": [1, 2]}}, "f"),
        ({"metadata": {"whole": 2.0}}, "f"),
        ({"metadata": {"whole": 3}}, ""),
        ({"metadata": {"large": 1e20}}, "f"),
        ({"metadata": {"false": False}}, ""),
        ({"metadata": {"true": True}}, ""),
        ({"metadata": {"flag": 0}}, ""),
        ({"speaker": "Ana", "before": "2025-01-01T00:00:00Z"}, ""),
        ({"metadata": {"flag": True}}, "a"),
        ({"metadata": {"flag": False}}, "b"),
        ({"metadata": {"flag": 1}}, ""),
        ({"metadata": {"a.b": "dot"}}, "c"),
        ({"metadata": {"a.b": "step"}}, ""),
        ({"metadata": {"tags": "x"}}, "d"),
        ({"metadata": {"tags": ["z", "y"]}}, "d"),
        ({"metadata": {"[0]": "bracket"}}, "e"),
        ({"metadata": {"🔑": "emoji"}}, "e"),
        ({"metadata": {" ": "space"}}, "e"),
        ({"metadata": {"missing": "x"}}, ""),
        ({"metadata": {"n": 1, "flag": True}}, "a"),
        ({"metadata": {"n": 1, "flag": False}}, ""),
        ({"metadata": {"owner": "local/other"}}, ""),
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["dense", "keyword"])
async def test_a_filter_lets_through_what_it_says(
    stack: RunningStack, owner: str, mode: str, wanted: dict[str, Any], expected: str
) -> None:
    found = await search(stack.retriever, owner, "a word", mode=mode, filter=wanted)

    assert sorted(ids_of(found)) == list(expected)


@pytest.mark.parametrize(
    "body",
    [
        b'{"metadata": {"n": NaN}}',
        b'{"metadata": {"n": [1, Infinity]}}',
        b'{"metadata": {"": 1}}',
        b'{"metadata": {"a\\"b": 1}}',
        b'{"metadata": {"n": null}}',
        b'{"metadata": {"n": {"gte": 1}}}',
        b'{"after": "2025-05-01T10:00:00"}',
        b'{"after": "yesterday"}',
        b'{"owner": "local/other"}',
        b'{"speaker": 5}',
    ],
    ids=repr,
)
async def test_a_filter_that_means_nothing_is_refused_by_name(stack: RunningStack, owner: str, body: bytes) -> None:
    response = await stack.retriever.post(
        "/v1/search", content=b'{"user_id": "%s", "query": "a word", "filter": %s}' % (owner.encode(), body)
    )

    assert problem(response, 422, "invalid")["errors"][0]["field"].startswith("filter.")


async def test_a_key_of_odd_characters_is_no_way_out_of_the_metadata(stack: RunningStack, owner: str) -> None:
    for key in ("\\", "\n", "..", "owner", "metadata", "a]b[", "*", "[]", "\0", "x" * 5000):
        response = await stack.retriever.post(
            "/v1/search", json={"user_id": owner, "query": "a word", "filter": {"metadata": {key: "x"}}}
        )
        assert response.status_code in {200, 422}, f"{key!r}: {response.text}"
        assert response.status_code == 422 or response.json()["hits"] == []


async def test_each_user_finds_their_own_messages_alone(stack: RunningStack, user: str) -> None:
    # Names that a sloppy separator, prefix or pattern would confuse.
    users = [f"{user}{ending}" for ending in ("", "/", "/a", "a", " ", "*", "%", ".*", "\\", "é", "e\u0301", "🔑")]
    users += [f"local/{user}", user.upper(), f" {user}"]
    text = "The password is under the keyboard."
    batch = b"\n".join(line(name, f"{n}-{m}", text) for m in range(3) for n, name in enumerate(users))
    posted = answered(await post_lines(stack.ingest, batch), 200)
    positions = [result["position"] for result in posted["results"]]

    async def check(number: int, name: str, mode: str) -> None:
        found = await search(stack.retriever, name, text, mode=mode, limit=100, wait_for=positions)
        assert sorted(ids_of(found)) == [f"{number}-{m}" for m in range(3)], name

    for mode in ("dense", "keyword", "hybrid"):
        await asyncio.gather(*(check(number, name, mode) for number, name in enumerate(users)))


async def test_questions_of_a_batch_do_not_mix_their_users(stack: RunningStack, user: str) -> None:
    users = [f"{user}-{n}" for n in range(10)]
    batch = b"\n".join(line(name, name, "The password is under the keyboard.") for name in users)
    posted = answered(await post_lines(stack.ingest, batch), 200)
    positions = [result["position"] for result in posted["results"]]
    searches = [{"user_id": name, "query": "password", "wait_for": positions, "wait_timeout": 60} for name in users]

    results = answered(await stack.retriever.post("/v1/search/batch", json={"searches": searches}), 200)["results"]

    assert [ids_of(result) for result in results] == [[name] for name in users]
