"""HTTP over connections that are kept alive: what is asked, what is understood of an answer, and what breaks."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from waiting import until

from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import AnswerTooLarge, GlobalFault, MemstreamError, Rejected, Throttled, Unavailable
from memstream.vectors.embeddings.openai import OpenAIEmbeddings
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import CandidateQuery, owner_of, without_retention
from memstream.vectors.store.qdrant import QdrantStore
from memstream.vectors.store.qdrant.collection import Collection, PointId
from memstream.vectors.store.qdrant.keyword_spaces import ANY_SCRIPT
from memstream.vectors.transport import HttpTransport, is_direct

pytestmark = pytest.mark.asyncio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSE = b""
"""Instead of an answer: the server hangs up."""


@dataclass
class Server:
    """Gives prepared answers, one a request, and keeps the requests with the number of their connection."""

    answers: list[bytes]
    url: str = ""
    requests: list[tuple[int, bytes]] = field(default_factory=list)
    connections: int = 0
    hangs: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a connection."""
        self.connections += 1
        number = self.connections
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append((number, head + await reader.readexactly(length)))
                answer = self.answers.pop(0)
                if answer == b"wait":
                    await self.hangs.wait()
                    continue
                writer.write(answer)
                if answer == CLOSE or b"connection: close" in answer.lower() or answer.endswith(b"..."):
                    break
        writer.close()


@contextlib.asynccontextmanager
async def serving(*answers: bytes) -> AsyncIterator[Server]:
    """Run a server that gives these answers."""
    server = Server(list(answers))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        server.hangs.set()
        listening.close()


@contextlib.asynccontextmanager
async def connected(server: Server, path: str = "", seconds: float = 60.0) -> AsyncIterator[HttpTransport]:
    """Make a transport to it."""
    transport = HttpTransport(server.url + path, port=1, headers={"api-key": "secret"}, timeout=seconds)
    yield transport
    transport.close()


async def test_a_body_is_posted_below_the_urls_own_path() -> None:
    async with serving(OK) as server, connected(server, "/below/") as transport:
        answer = await transport.post("/points", b'{"a": 1}')

    ((_, request),) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    assert line == b"POST /below/points HTTP/1.1"
    assert {b"api-key: secret", b"content-type: application/json", b"content-length: 8"} < set(lines)
    assert f"host: {server.url.removeprefix('http://')}".encode() in lines
    assert body == b'{"a": 1}'
    assert (answer.status, answer.headers["content-length"], answer.content) == (200, "2", b"ok")


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nas long as it lasts", b"as long as it lasts"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + 300_000 * b"x", 300_000 * b"x"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", b""),
    ],
    ids=["chunked", "announced", "closing", "large", "refused"],
)
async def test_each_way_of_answering_is_understood(answer: bytes, content: bytes) -> None:
    async with serving(answer, OK) as server, connected(server) as transport:
        assert (await transport.post("/", b"")).content == content
        assert (await transport.post("/", b"")).content == b"ok"


async def test_a_connection_is_used_again_and_as_many_are_opened_as_there_are_requests_at_once() -> None:
    async with serving(*[OK] * 5) as server, connected(server) as transport:
        for _ in range(3):
            await transport.post("/", b"")
        assert server.connections == 1
        await asyncio.gather(transport.post("/", b""), transport.post("/", b""))

        assert server.connections == 2


async def test_what_a_server_has_closed_meanwhile_is_asked_anew() -> None:
    async with serving(OK, CLOSE, OK) as server, connected(server) as transport:
        await transport.post("/", b"first")
        answer = await transport.post("/", b"second")

    assert answer.content == b"ok"
    assert [number for number, _ in server.requests] == [1, 1, 2]


async def test_a_connection_that_is_seen_to_be_closed_is_not_asked() -> None:
    async with (
        serving(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n...", OK) as server,
        connected(server) as transport,
    ):
        await transport.post("/", b"first")
        await until(lambda: transport.reusable == 0, "the server's end of the connection has come")
        answer = await transport.post("/", b"second")

    assert answer.content == b"ok"
    assert [number for number, _ in server.requests] == [1, 2]


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nbreaks...", b"SSH-2.0\r\n...", CLOSE], ids=range(3)
)
async def test_an_answer_that_breaks_off_or_is_none_is_an_error(answer: bytes) -> None:
    async with serving(answer) as server, connected(server) as transport:
        with pytest.raises(ConnectionError):
            await transport.post("/", b"")

    assert len(server.requests) == 1


async def test_no_answer_in_time_is_an_error_and_spoils_no_later_one() -> None:
    async with serving(b"wait", OK) as server, connected(server, seconds=1.0) as transport:
        with pytest.raises(TimeoutError):
            await transport.post("/", b"slow")
        assert (await transport.post("/", b"quick")).content == b"ok"

    assert [number for number, _ in server.requests] == [1, 2]


async def test_what_nobody_waits_for_any_more_is_not_taken_for_the_next_answer() -> None:
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"
    async with serving(b"wait", OK, late) as server, connected(server) as transport:
        asking = asyncio.create_task(transport.post("/", b"given up"))
        await until(lambda: server.requests, "the request is there")
        asking.cancel()
        await asyncio.wait([asking])

        assert (await transport.post("/", b"next")).content == b"ok"


async def test_nobody_there_is_an_error() -> None:
    async with serving() as server:
        pass
    async with connected(server) as transport:
        with pytest.raises(OSError, match=r"(?i)connect"):
            await transport.post("/", b"")


@pytest.mark.parametrize(
    ("url", "proxy", "direct"),
    [
        ("http://qdrant:6333", None, True),
        ("https://qdrant:6333", None, False),
        ("http://qdrant:6333", "http_proxy", False),
        ("http://qdrant:6333", "all_proxy", False),
        ("http://qdrant:6333", "https_proxy", True),
    ],
)
async def test_tls_and_proxies_are_left_to_the_general_clients(
    monkeypatch: pytest.MonkeyPatch, url: str, proxy: str | None, *, direct: bool
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    if proxy:
        monkeypatch.setenv(proxy, "http://proxy:3128")

    assert is_direct(url) is direct


def answer(status: int, told: object, headers: str = "") -> bytes:
    """Write an answer."""
    body = json.dumps(told).encode()
    return f"HTTP/1.1 {status} X\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


async def embedded(server: Server) -> MemstreamError | None:
    """Embed a text, and give the error that came of it."""
    api = OpenAIEmbeddings(EmbeddingSpace("m", 2), url=f"{server.url}/v1", api_key="key", timeout=5)
    try:
        found = await api.embed(["a"], "passage")
        assert np.array_equal(found.vectors, [[1.0, 2.0]])
        assert found.tokens == 7
    except MemstreamError as error:
        return error
    finally:
        await api.aclose()
    return None


async def asked(server: Server) -> MemstreamError | None:
    """Ask a store, and give the error that came of it."""
    store = QdrantStore(
        EmbeddingSpace("m", 2),
        url=server.url,
        api_key=None,
        collection="a/b",
        timeout=5,
        keywords=ANY_SCRIPT,
        expiry=without_retention(SystemClock().now),
    )
    try:
        (found,) = await store.propose([CandidateQuery(owner_of("t", "u"), None, "hi", 5)])
        assert list(found.keyword or ()) == ["x"]
    except MemstreamError as error:
        return error
    finally:
        await store.aclose()
    return None


async def looked_up(server: Server) -> MemstreamError | None:
    """Look up an owner's speakers, and give the error that came of it."""
    store = QdrantStore(
        EmbeddingSpace("m", 2),
        url=server.url,
        api_key=None,
        collection="a/b",
        timeout=5,
        expiry=without_retention(SystemClock().now),
    )
    try:
        assert await store.speakers(owner_of("t", "u")) == ["Ann", "Bo"]
    except MemstreamError as error:
        return error
    finally:
        await store.aclose()
    return None


EMBEDDED = {"data": [{"index": 0, "embedding": [1, 2]}], "usage": {"total_tokens": 7}}
FOUND = {"result": [{"points": [{"id": "x", "score": 1.0}]}]}
COUNTED = {"result": {"hits": [{"value": "Ann", "count": 3}, {"value": "Bo", "count": 1}]}}
QUOTA = {"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}


@pytest.mark.parametrize(
    ("ask", "path", "told"),
    [
        (embedded, b"POST /v1/embeddings ", EMBEDDED),
        (asked, b"POST /collections/a%2Fb/points/query/batch ", FOUND),
        (looked_up, b"POST /collections/a%2Fb/facet ", COUNTED),
    ],
)
async def test_a_server_without_tls_is_asked_through_the_transport(
    ask: Callable[[Server], Awaitable[MemstreamError | None]], path: bytes, told: object
) -> None:
    async with serving(answer(200, told)) as server:
        assert await ask(server) is None

    ((_, request),) = server.requests
    assert request.startswith(path)
    assert b"user-agent" not in request.lower()


@pytest.mark.parametrize(
    ("ask", "given", "expected", "says"),
    [
        (
            embedded,
            answer(429, {"error": {"message": "Rate limit reached."}}, "retry-after: 3\r\n"),
            Throttled,
            "rate limit",
        ),
        (embedded, answer(429, QUOTA), GlobalFault, "exceeded your current quota"),
        (embedded, answer(503, {"error": "down"}), Unavailable, "HTTP 503"),
        (embedded, answer(400, {"error": {"message": "Input is too long."}}), Rejected, "too long"),
        (embedded, answer(401, ["?"]), GlobalFault, "HTTP 401"),
        (embedded, answer(302, {}), GlobalFault, "HTTP 302"),
        (embedded, answer(200, {}), Unavailable, "can't be read"),
        (embedded, CLOSE, Unavailable, "ConnectionResetError"),
        (asked, answer(429, {}, "retry-after: 3\r\n"), Throttled, "HTTP 429"),
        (asked, answer(500, {}), Unavailable, "HTTP 500"),
        (asked, answer(400, {"status": "Wrong input: bad"}), Rejected, "wrong input"),
        (asked, answer(404, {}), GlobalFault, "HTTP 404"),
        (asked, answer(200, {}), Unavailable, "can't be read"),
        (asked, answer(200, {"result": [{"points": [{}]}]}), Unavailable, "can't be read"),
        (asked, b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{", Unavailable, "can't be read"),
        (asked, CLOSE, Unavailable, "ConnectionResetError"),
        (looked_up, answer(429, {}, "retry-after: 3\r\n"), Throttled, "HTTP 429"),
        (looked_up, answer(200, {"result": {"hits": [{"value": 1}]}}), Unavailable, "can't be read"),
        (looked_up, CLOSE, Unavailable, "ConnectionResetError"),
    ],
)
async def test_each_refusal_becomes_the_error_that_says_what_to_do(
    ask: Callable[[Server], Awaitable[MemstreamError | None]], given: bytes, expected: type[MemstreamError], says: str
) -> None:
    async with serving(given) as server:
        error = await ask(server)

    assert type(error) is expected
    assert says in str(error)
    if b"retry-after" in given:
        assert isinstance(error, Unavailable)
        assert error.retry_after == 3.0


@pytest.fixture
def small_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Qdrant's answers have a kilobyte, in place of 16 MiB."""
    monkeypatch.setattr("memstream.vectors.store.qdrant.collection._MAX_BYTES", 1000)


LARGE = answer(200, {"result": [], "padding": "x" * 1000})


@pytest.mark.usefixtures("small_answers")
async def test_an_answer_of_qdrants_that_is_too_large_is_not_read_to_its_end() -> None:
    async with serving(LARGE) as server:
        assert type(await asked(server)) is AnswerTooLarge


@pytest.mark.usefixtures("small_answers")
async def test_vectors_are_read_however_many_a_call_asks_for() -> None:
    """2,048 texts, the most of a call, have 32 MiB of vectors of 3,072 dimensions in base64."""
    async with serving(answer(200, EMBEDDED | {"padding": "x" * 1000})) as server:
        assert await embedded(server) is None


@pytest.mark.usefixtures("small_answers")
async def test_points_that_are_too_large_for_one_answer_come_in_several() -> None:
    """A worker reads what is stored of a batch: all of it may be texts of 64 KiB, and longer as JSON."""
    points = [PointId(name) for name in "abc"]
    first, *others = [{"id": name, "payload": {"text": name}} for name in points]
    answers = [LARGE, answer(200, {"result": [first]}), answer(200, {"result": others})]
    async with serving(*answers) as server:
        collection = Collection(url=server.url, api_key=None, name="c", timeout=60, connections=1)
        found = await collection.retrieve(points, ["text"])
        await collection.aclose()

    assert found == {name: {"text": name} for name in points}
    asked_for = [json.loads(request.partition(b"\r\n\r\n")[2])["ids"] for _, request in server.requests]
    assert asked_for == [["a", "b", "c"], ["a"], ["b", "c"]]


def lines(requests: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """Give the requests' first lines."""
    return [request.partition(b"\r\n")[0] for _, request in requests]


async def test_through_a_proxy_a_question_takes_the_clients_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(200, FOUND, "content-type: application/json\r\n")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        server = Server([], url="http://qdrant.example:6333")
        assert await asked(server) is None

    assert lines(proxy.requests) == [b"POST http://qdrant.example:6333/collections/a%2Fb/points/query/batch HTTP/1.1"]


async def test_through_a_proxy_speakers_are_looked_up_the_clients_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answer(200, COUNTED, "content-type: application/json\r\n")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert await looked_up(Server([], url="http://qdrant.example:6333")) is None

    assert lines(proxy.requests) == [b"POST http://qdrant.example:6333/collections/a%2Fb/facet HTTP/1.1"]
