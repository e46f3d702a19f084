"""What the retriever refuses, and with which words; and odd questions it answers all the same."""

import asyncio

import pytest
from exchanges import answered, fields_of, ids_of, post, problem, search
from running_stack import RunningStack

LONGEST_TEXT = 64 * 1024
PATHS = ["/v1/search", "/v1/search/batch", "/v1/context", "/v1/similarity"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", 0),
        ("limit", 101),
        ("limit", -1),
        ("limit", 2.5),
        ("limit", "10"),
        ("limit", True),
        ("limit", 10**30),
        ("query", ""),
        ("query", " \n"),
        ("query", "w" * (LONGEST_TEXT + 1)),
        ("query", "a\0b"),
        ("query", 5),
        ("query", None),
        ("user_id", ""),
        ("user_id", "*"),
        ("user_id", "u" * 257),
        ("mode", "fuzzy"),
        ("min_relevance", -0.1),
        ("min_relevance", 1.1),
        ("min_relevance", "high"),
        ("filter", "speaker"),
        ("wait_for", "0.live.1-0"),
        ("wait_for", ["0.live.1-0"] * 1001),
        ("wait_timeout", -1),
        ("wait_timeout", 61),
        ("colour", "red"),
        ("tenant", "other"),
    ],
    ids=lambda value: repr(value)[:24],
)
async def test_a_bad_field_is_refused_by_name(stack: RunningStack, field: str, value: object) -> None:
    body = {"user_id": "ana", "query": "hello", field: value}

    for path, more in (("/v1/search", {}), ("/v1/context", {"token_budget": 100})):
        refused = problem(await stack.retriever.post(path, json={**body, **more}), 422, "invalid")

        assert fields_of(refused)[0] == field


@pytest.mark.parametrize(
    "position",
    [
        "",
        "0",
        "0.live",
        "0.fast.1-0",
        "0.live.1",
        "-1.live.1-0",
        "0.live.1-0 ",
        "0.live.1-0\n",
        "0.live.18446744073709551616-0",
        "0.live.99999999999999999999-99999999999999999999",
        "1.live.1-0",
        "9999.live.1-0",
        "\u0660.live.1-0",
    ],
    ids=ascii,
)
async def test_a_position_that_nobody_gave_out_is_refused(stack: RunningStack, position: str) -> None:
    body = {"user_id": "ana", "query": "hello", "wait_for": [position], "wait_timeout": 0}

    refused = problem(await stack.retriever.post("/v1/search", json=body), 422, "invalid")

    assert fields_of(refused)[0].startswith("wait_for")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"", b"{", b"hello", b'{"query": "\xff"}', b'{"query": "\\udc00"}', b"[" * 10_000])
async def test_a_body_that_is_no_json_is_a_bad_request(stack: RunningStack, path: str, body: bytes) -> None:
    problem(await stack.retriever.post(path, content=body), 400, "invalid")


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_of_another_type_is_refused(stack: RunningStack, path: str) -> None:
    response = await stack.retriever.post(path, content=b"query=hello", headers={"content-type": "text/plain"})

    problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_is_too_large_is_refused(stack: RunningStack, path: str) -> None:
    response = await stack.retriever.post(path, json={"texts": ["w" * 60_000] * 20})

    assert fields_of(problem(response, 413, "too-large")) == ["body"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/search/batch", {"searches": []}, "searches"),
        ("/v1/search/batch", {"searches": [{"user_id": "a", "query": "b"}] * 101}, "searches"),
        ("/v1/search/batch", {"searches": [{"user_id": "a", "query": "b"}, {"user_id": "a"}]}, "searches.1.query"),
        ("/v1/similarity", {"texts": ["one"]}, "texts"),
        ("/v1/similarity", {"texts": ["one"] * 101}, "texts"),
        ("/v1/similarity", {"texts": ["one", " "]}, "texts.1"),
        ("/v1/similarity", {"texts": ["one", 2]}, "texts.1"),
        ("/v1/similarity", {"texts": ["one", "two"], "model": "x"}, "model"),
    ],
)
async def test_a_bad_batch_is_refused_by_name(stack: RunningStack, path: str, body: object, field: str) -> None:
    assert fields_of(problem(await stack.retriever.post(path, json=body), 422, "invalid")) == [field]


@pytest.mark.parametrize(
    "query",
    [
        "🔑",
        "🔑🏽👩‍👩‍👧‍👦" * 50,
        "أين المفتاح؟",
        "איפה המפתח",
        "鍵はどこですか",
        "the and of it is to",
        "?!.,;:",
        '"key" AND (NOT pot) OR *',
        "${jndi:ldap://x} %s {0} <b>",
        "a",
        "\u202ekey",
        "key " * (LONGEST_TEXT // 4),
        "k" * LONGEST_TEXT,
        "🔑" * (LONGEST_TEXT // 4),
    ],
    ids=lambda query: ascii(query)[:24],
)
@pytest.mark.parametrize("mode", ["hybrid", "keyword", "dense"])
async def test_any_text_may_be_asked(stack: RunningStack, mode: str, query: str) -> None:
    found = await search(stack.retriever, "nobody", query, mode=mode)
    body = {"user_id": "nobody", "query": query, "mode": mode, "token_budget": 100}
    context = answered(await stack.retriever.post("/v1/context", json=body), 200)

    assert (found["hits"], found["degraded"]) == ([], False)
    assert (context["context"], context["abstained"], context["degraded"]) == ("", True, False)


@pytest.mark.parametrize("query", ["the and of it is to", "?!.,;:", "🤷", "\u202e"])
async def test_a_query_without_a_word_of_its_own_finds_nothing_by_words_and_is_no_error(
    stack: RunningStack, user: str, query: str
) -> None:
    sent = await post(stack.ingest, user, "The key of the shed is under the pot, and it is to stay there.")

    by_words = await search(stack.retriever, user, query, mode="keyword", wait_for=[sent["position"]])
    by_both = await search(stack.retriever, user, query)

    assert by_words["hits"] == []
    assert [hit["message_id"] for hit in by_both["hits"]] == [sent["message_id"]]
    assert by_both["hits"][0]["relevance"] < 0.3


async def test_a_text_in_any_script_is_found_by_itself(stack: RunningStack, user: str) -> None:
    texts = {
        "he": "המפתח מתחת לעציץ",
        "ar": "المفتاح تحت أصيص الزهور",
        "ja": "鍵は植木鉢の下",
        "emoji": "🔑🌱",
        "dots": "…",
    }
    sent = [await post(stack.ingest, user, text, message_id=name) for name, text in texts.items()]
    positions = [one["position"] for one in sent]

    for name, text in texts.items():
        found = await search(stack.retriever, user, text, wait_for=positions)
        assert name in ids_of(found)


async def test_texts_of_any_kind_may_be_compared(stack: RunningStack) -> None:
    texts = ["🔑", "the", "مرحبا", "?", "w" * LONGEST_TEXT, "a b " * 2000]

    matrix = answered(await stack.retriever.post("/v1/similarity", json={"texts": texts}), 200)["similarity"]

    assert [matrix[n][n] for n in range(len(texts))] == pytest.approx([1] * len(texts), abs=1e-4)


async def test_a_caller_that_hangs_up_leaves_the_service_well(stack: RunningStack) -> None:
    url = stack.retriever.base_url
    for _ in range(5):
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(
            b"POST /v1/search HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-length: 99\r\n\r\n{"
            % (stack.info.api_key.encode())
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    assert (await search(stack.retriever, "nobody", "hello"))["hits"] == []
