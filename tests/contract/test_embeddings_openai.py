"""The local embeddings server, as OpenAI's own client sees it."""

from collections.abc import AsyncIterator

import numpy as np
import openai
import pytest
import pytest_asyncio
from waiting import PATIENCE

pytest_plugins = ["contract.embeddings_server"]

MINILM = "all-MiniLM-L6-v2"
TEXTS = ["The cat sleeps on the sofa.", "A kitten naps on the couch.", "Interest rates rose by half a percent."]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(minilm_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=minilm_url, api_key="any key will do", max_retries=0, timeout=PATIENCE
    ) as client:
        yield client


async def test_both_encodings_give_the_same_numbers(client: openai.AsyncOpenAI) -> None:
    as_floats = await client.embeddings.create(model=MINILM, input=TEXTS, encoding_format="float")
    # The client asks for base64 when it is not told otherwise, and decodes it.
    as_default = await client.embeddings.create(model=MINILM, input=TEXTS)

    floats = np.array([item.embedding for item in as_floats.data], dtype=np.float32)
    default = np.array([item.embedding for item in as_default.data], dtype=np.float32)
    assert floats.shape == (3, 384)
    np.testing.assert_array_equal(floats, default)


async def test_answers_come_in_the_order_of_the_texts(client: openai.AsyncOpenAI) -> None:
    # Lengths are mixed on purpose: the server computes texts of similar length together.
    texts = [f"{'word ' * (number * 37 % 50)}{number}" for number in range(100)]
    together = await client.embeddings.create(model=MINILM, input=texts)
    assert [item.index for item in together.data] == list(range(100))

    for number in (0, 1, 50, 99):
        alone = await client.embeddings.create(model=MINILM, input=texts[number])
        # Int8 rounding depends a little on what a text is computed with.
        similarity = np.dot(alone.data[0].embedding, together.data[number].embedding)
        assert similarity == pytest.approx(1, abs=2e-3)


async def test_usage_counts_the_texts_own_tokens(client: openai.AsyncOpenAI) -> None:
    one = await client.embeddings.create(model=MINILM, input="hello world")
    two = await client.embeddings.create(model=MINILM, input=["hello world", "hello"])
    assert (one.usage.prompt_tokens, one.usage.total_tokens) == (2, 2)
    assert two.usage.prompt_tokens == 3


async def test_usage_counts_what_the_model_does_not_read(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model=MINILM, input="word " * 1000)
    assert answer.usage.prompt_tokens == 1000


async def test_the_own_size_and_a_user_are_accepted(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model=MINILM, input="hello", dimensions=384, user="someone")
    assert answer.model == MINILM
    assert answer.object == "list"
    assert len(answer.data[0].embedding) == 384


async def test_models_are_listed_and_described(client: openai.AsyncOpenAI) -> None:
    listed = [model.id async for model in client.models.list()]
    assert listed == [MINILM]
    assert (await client.models.retrieve(MINILM)).object == "model"
    with pytest.raises(openai.NotFoundError) as error:
        await client.models.retrieve("gpt-5")
    assert error.value.code == "model_not_found"


async def test_an_unknown_model_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="text-embedding-3-small") as error:
        await client.embeddings.create(model="text-embedding-3-small", input="hello")
    assert (error.value.param, error.value.code, error.value.type) == (
        "model",
        "model_not_found",
        "invalid_request_error",
    )


@pytest.mark.parametrize(
    ("value", "message", "code"),
    [
        ("", "empty string", "invalid_value"),
        (["fine", "", "fine"], r"input\[1\].*empty string", "invalid_value"),
        ([], "empty array", "empty_array"),
        (["x"] * 2049, "at most 2048 texts, got 2049", "array_above_max_length"),
        ([1, 2, 3], r"input\[0\].*integer.*Token arrays", "invalid_type"),
        ([[1, 2], [3]], r"input\[0\].*array.*Token arrays", "invalid_type"),
        (["ok", "word " * 8193], r"input\[1\].*maximum context length is 8192 tokens", "context_length_exceeded"),
        (["word " * 8000] * 38, "maximum request size is 300000 tokens", "max_tokens_per_request"),
    ],
    ids=["empty", "empty-in-list", "no-texts", "too-many", "tokens", "token-lists", "too-long", "too-much"],
)
async def test_a_bad_input_is_refused(client: openai.AsyncOpenAI, value: list[str], message: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError, match=message) as error:
        await client.embeddings.create(model=MINILM, input=value)
    assert (error.value.param, error.value.code, error.value.type) == ("input", code, "invalid_request_error")


async def test_a_text_of_exactly_the_limit_is_taken(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model=MINILM, input="word " * 8192)
    assert answer.usage.prompt_tokens == 8192


async def test_other_sizes_are_refused(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="does not support specifying dimensions") as error:
        await client.embeddings.create(model=MINILM, input="hello", dimensions=256)
    assert error.value.param == "dimensions"


async def test_unknown_fields_are_refused_by_name(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="'colour'") as error:
        await client.embeddings.create(model=MINILM, input="hello", extra_body={"colour": "red"})
    assert (error.value.param, error.value.code) == ("colour", "unknown_parameter")


async def test_wordllama_takes_its_own_size_only(wordllama_url: str) -> None:
    async with openai.AsyncOpenAI(base_url=wordllama_url, api_key="none", max_retries=0) as client:
        answer = await client.embeddings.create(model="wordllama-256", input=TEXTS, dimensions=256)
        assert {len(item.embedding) for item in answer.data} == {256}
        with pytest.raises(openai.BadRequestError, match="have 256") as error:
            await client.embeddings.create(model="wordllama-256", input=TEXTS, dimensions=128)
        assert error.value.param == "dimensions"
