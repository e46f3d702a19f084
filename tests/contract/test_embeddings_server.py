"""The local embeddings server over plain HTTP: bad requests, odd texts, load, starting and stopping."""

import asyncio
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
from waiting import PATIENCE

pytest_plugins = ["contract.embeddings_server"]

MINILM = "all-MiniLM-L6-v2"
ODD_TEXTS = {
    "emoji": "😀🎉👩‍👩‍👧‍👦",
    "spaces": " \t\n ",
    "nul": "a\x00b\x00",
    "only-nul": "\x00",
    "one-long-word": "x" * 20_000,
    "long": "lorem ipsum dolor " * 2000,
    "invisible": "\u200b\ufeff",
    "chinese": "记忆是人类心智的基础",
    "arabic": "الذاكرة",
    "special-tokens": "[SEP][CLS][PAD]</s><s>",
}

JSON = {"content-type": "application/json"}

Start = Callable[[str, Path], AbstractContextManager[tuple[str, subprocess.Popen[str]]]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def minilm(minilm_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=minilm_url.removesuffix("/v1"), headers=JSON, timeout=PATIENCE) as client:
        yield client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def wordllama(wordllama_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=wordllama_url.removesuffix("/v1"), headers=JSON, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(params=[MINILM, "wordllama-256"])
def served(request: pytest.FixtureRequest, minilm: httpx.AsyncClient, wordllama: httpx.AsyncClient) -> "Served":
    return Served(minilm if request.param == MINILM else wordllama, request.param)


class Served:
    """A model behind its server."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self.client = client
        self.model = model

    async def post(self, texts: str | list[str]) -> httpx.Response:
        return await self.client.post("/v1/embeddings", json={"model": self.model, "input": texts})

    async def vectors(self, texts: list[str]) -> npt.NDArray[np.float32]:
        answer = await self.post(texts)
        assert answer.status_code == 200, answer.text
        return np.array([item["embedding"] for item in answer.json()["data"]], dtype=np.float32)


def error_of(answer: httpx.Response, status: int) -> dict[str, str | None]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    error: dict[str, str | None] = body["error"]
    return error


@pytest.mark.parametrize("body", [b"", b"{", b'{"input": "\\ud800"}', b"\xff\xfe", b'{"input": NaN}'])
async def test_malformed_json_is_a_bad_request(minilm: httpx.AsyncClient, body: bytes) -> None:
    error = error_of(await minilm.post("/v1/embeddings", content=body), 400)
    assert error["code"] == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"3"])
async def test_json_that_is_no_object_is_a_bad_request(minilm: httpx.AsyncClient, body: bytes) -> None:
    error = error_of(await minilm.post("/v1/embeddings", content=body), 400)
    assert error["code"] == "invalid_type"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["a", None]}, "input"),
        ({"input": ["a", True]}, "input"),
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"encoding_format": 1}, "encoding_format"),
        ({"dimensions": "384"}, "dimensions"),
        ({"dimensions": 0}, "dimensions"),
        ({"user": 1}, "user"),
        ({"inputs": "a"}, "inputs"),
    ],
)
async def test_a_wrong_field_is_named(minilm: httpx.AsyncClient, change: dict[str, object], param: str) -> None:
    body = {"model": MINILM, "input": "hello", **change}
    error = error_of(await minilm.post("/v1/embeddings", json=body), 400)
    assert error["param"] == param
    assert param in str(error["message"])


async def test_a_body_over_the_limit_is_too_large(minilm: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 2**20

    stated = await minilm.post("/v1/embeddings", content=b" " * (9 * 2**20))
    streamed = await minilm.post("/v1/embeddings", content=chunks())
    assert error_of(stated, 413)["code"] == "request_too_large"
    assert error_of(streamed, 413)["code"] == "request_too_large"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/", "/v1/embeddings/"])
async def test_an_unknown_route_is_not_found(minilm: httpx.AsyncClient, path: str) -> None:
    error = error_of(await minilm.post(path, json={}), 404)
    assert path in str(error["message"])


async def test_a_wrong_method_is_not_allowed(minilm: httpx.AsyncClient) -> None:
    assert error_of(await minilm.get("/v1/embeddings"), 405)["code"] == "method_not_supported"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_says_which_model_is_served(served: Served, path: str) -> None:
    answer = await served.client.get(path)
    assert (answer.status_code, answer.json()["model"]) == (200, served.model)


async def test_a_bad_request_spoils_nothing_for_the_connection(minilm: httpx.AsyncClient) -> None:
    error_of(await minilm.post("/v1/embeddings", content=b"{"), 400)
    assert (await Served(minilm, MINILM).vectors(["hello"])).shape == (1, 384)


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
async def test_an_odd_text_gets_a_vector_or_a_clear_error(served: Served, text: str) -> None:
    answer = await served.post(text)
    if answer.status_code == 400:
        assert error_of(answer, 400)["code"] == "context_length_exceeded"
        return
    vector = np.array(answer.json()["data"][0]["embedding"])
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


async def test_an_odd_text_changes_none_beside_it(served: Served) -> None:
    odd = [text for name, text in ODD_TEXTS.items() if name not in {"long", "one-long-word"}]
    mixed = await served.vectors([*odd, "The weather is fine."])
    alone = await served.vectors(["The weather is fine."])
    assert mixed[-1] @ alone[0] == pytest.approx(1, abs=2e-3)


async def test_similar_sentences_are_closer_than_unrelated_ones(served: Served) -> None:
    cat, kitten, rates = await served.vectors(
        ["The cat sleeps on the sofa.", "A kitten naps on the couch.", "Interest rates rose by half a percent."]
    )
    assert cat @ kitten > cat @ rates + 0.2


async def test_concurrent_requests_get_their_own_vectors(served: Served) -> None:
    questions = [f"What did number {number} say about {'the ' * (number % 7)}trip?" for number in range(40)]
    expected = await served.vectors(questions)
    found = await asyncio.gather(*(served.vectors([question]) for question in questions))
    for number, vectors in enumerate(found):
        assert int(np.argmax(expected @ vectors[0])) == number


async def test_a_question_overtakes_an_import(minilm: httpx.AsyncClient) -> None:
    server = Served(minilm, MINILM)
    importing = asyncio.create_task(server.vectors(["a few words that are embedded in bulk"] * 1000))
    answered = 0
    while not importing.done():
        await server.vectors(["a question"])
        answered += 1
    assert len(await importing) == 1000
    # In one queue, all questions but the first would wait for the import to end.
    assert answered >= 10


async def test_a_full_queue_asks_to_come_back(minilm: httpx.AsyncClient) -> None:
    server = Served(minilm, MINILM)
    answers = await asyncio.gather(*(server.post(["hi"] * 2048) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503]
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    error = error_of(refused, 503)
    assert (error["type"], error["code"]) == ("server_error", "overloaded")


async def test_work_for_clients_that_left_is_dropped(minilm_url: str, minilm: httpx.AsyncClient) -> None:
    server = Served(minilm, MINILM)
    loop = asyncio.get_running_loop()
    texts = ["word " * 100] * 2048
    began = loop.time()
    await server.vectors(texts[:64])
    one_part = loop.time() - began
    # Sixty-four such parts, in a full queue.
    async with httpx.AsyncClient(base_url=minilm_url.removesuffix("/v1"), timeout=PATIENCE) as leaver:
        body = {"model": MINILM, "input": texts}
        leaving = [asyncio.create_task(leaver.post("/v1/embeddings", json=body)) for _ in range(2)]
        async with asyncio.timeout(PATIENCE):
            while (await server.post("is the queue full?")).status_code != 503:
                pass
        for task in leaving:
            task.cancel()
        await asyncio.wait(leaving)
    left = loop.time()
    while (await server.post(["as large as an import"] * 16)).status_code != 200:
        pass
    assert loop.time() - left < one_part * 32


def test_a_taken_port_is_one_clear_line(run_embeddings: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run_embeddings("--port", port, "--model", "wordllama")
    assert ended.returncode == 1
    assert ended.stderr == f"embeddings: can't listen on 127.0.0.1 port {port}: Address already in use\n"
    assert ended.stdout == ""


def test_help_names_the_default_cache(run_embeddings: Run, tmp_path: Path) -> None:
    ended = run_embeddings("--help", XDG_CACHE_HOME=str(tmp_path), COLUMNS="200")
    assert ended.returncode == 0
    assert f"{tmp_path}/memstream" in ended.stdout


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(start_embeddings: Start, model_cache: Path, stop: signal.Signals) -> None:
    with start_embeddings("wordllama", model_cache) as (_, process):
        process.send_signal(stop)
        assert process.wait(timeout=PATIENCE) == 0
