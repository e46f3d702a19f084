"""TLS to Redis, Qdrant and the provider, each with an authority of its own."""

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import trustme
from exchanges import post, search
from installation import Installation, installed
from waiting import PATIENCE, until

from memstream.embedder.streams import source_streams
from memstream.embedder.subscriptions import Subscriptions
from memstream.retriever.reranking.rerank_api import RerankApi
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import ConfigurationError, Unavailable
from memstream.streams.connections import connect, ping
from memstream.vectors.embeddings.openai import OpenAIEmbeddings
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import without_retention
from memstream.vectors.store.qdrant import QdrantStore
from memstream.vectors.transport import is_direct

SERVERS = ("redis", "qdrant", "embeddings")
SPACE = EmbeddingSpace("simulated", 32)


@contextlib.asynccontextmanager
async def terminated(port: int, certificate: trustme.LeafCert) -> AsyncIterator[int]:
    """Listen with TLS in front of a port of this machine; gives the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    relays: set[asyncio.Task[None]] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(copy(reader, behind_writer))
                group.create_task(copy(behind_reader, writer))
        finally:
            for one in (writer, behind_writer):
                one.transport.abort()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
            target.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(relay(reader, writer))
        relays.add(task)
        task.add_done_callback(relays.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in relays:
            task.cancel()
        await asyncio.gather(*relays, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Secured:
    """Servers behind TLS, each with a certificate from an authority of its own."""

    parts: Installation
    urls: dict[str, str]
    ca_files: dict[str, Path]

    def settings(self, service: str, servers: tuple[str, ...] = SERVERS) -> dict[str, str]:
        """Return a service's settings."""
        prefix = f"MEMSTREAM_{service.upper()}"
        given = {f"{prefix}_{name.upper()}_URL": self.urls[name] for name in servers}
        return given | {f"{prefix}_{name.upper()}_CA_FILE": str(self.ca_files[name]) for name in servers}


@pytest_asyncio.fixture(scope="module")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    """Run the stack's servers, and TLS in front of each; services find them there alone."""
    folder = tmp_path_factory.mktemp("tls")
    settings: dict[str, dict[str, str]] = {}
    async with installed(Installation(folder, settings=settings)) as parts, contextlib.AsyncExitStack() as opened:
        urls, ca_files = {}, {}
        for name in SERVERS:
            authority = trustme.CA()
            ca_files[name] = folder / f"{name}.pem"
            authority.cert_pem.write_to_path(str(ca_files[name]))
            port = await opened.enter_async_context(
                terminated(parts.port(name), authority.issue_cert("localhost", common_name=name))
            )
            urls[name] = f"https://localhost:{port}"
        password = parts.plan.directory.secrets().redis_password
        urls["redis"] = urls["redis"].replace("https://", f"rediss://:{password}@")
        urls["embeddings"] += "/v1"
        secured = Secured(parts, urls, ca_files)
        settings["ingest-1"] = secured.settings("ingest", ("redis",))
        settings["embedder-1"] = secured.settings("embedder")
        settings["retriever-1"] = secured.settings("retriever")
        await parts.start("redis", "qdrant", "embeddings")
        await parts.start("keys")
        yield secured


async def test_a_message_is_stored_and_found_with_tls_everywhere(secured: Secured) -> None:
    parts = secured.parts
    await parts.start("ingest-1", "embedder-1", "retriever-1")
    async with parts.client("ingest-1") as ingest, parts.client("retriever-1") as retriever:
        sent = await post(ingest, "ana", "The spare key is under the third flower pot.", message_id="key")
        answer = await search(retriever, "ana", "Where is the spare key?", wait_for=[sent["position"]])
    assert [hit["message_id"] for hit in answer["hits"]] == ["key"]
    assert not answer["degraded"]


Ask = Callable[[str, Path | None], Coroutine[None, None, object]]


async def ask_redis(url: str, ca_file: Path | None) -> None:
    client = connect(url, ca_file=ca_file)
    try:
        await ping(client)
    finally:
        await client.aclose()


async def subscribe(url: str, ca_file: Path | None) -> None:
    async def offer(_: object) -> None: ...

    reader = Subscriptions(url, source_streams(1), ca_file=ca_file, consumer="c", offer=offer, read_entries=1)
    await reader.start()
    await reader.stop()


async def ask_qdrant(url: str, ca_file: Path | None) -> None:
    expiry = without_retention(SystemClock().now)
    store = QdrantStore(SPACE, url=url, api_key=None, collection="c", timeout=PATIENCE, ca_file=ca_file, expiry=expiry)
    try:
        await store.check()
    finally:
        await store.aclose()


async def ask_provider(url: str, ca_file: Path | None) -> None:
    provider = OpenAIEmbeddings(SPACE, url=url, api_key="x", timeout=PATIENCE, ca_file=ca_file)
    try:
        await provider.embed(["x"], "query")
    finally:
        await provider.aclose()


async def ask_reranker(url: str, ca_file: Path | None) -> None:
    reranker = RerankApi(url=url, model="m", api_key=None, ca_file=ca_file)
    try:
        await reranker.score("x", ["y"])
    finally:
        await reranker.aclose()


clients = pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("redis", ask_redis),
        ("redis", subscribe),
        ("qdrant", ask_qdrant),
        ("embeddings", ask_provider),
        ("embeddings", ask_reranker),
    ],
    ids=["redis", "subscriptions", "qdrant", "embeddings", "reranker"],
)


@clients
@pytest.mark.parametrize("system", [False, True], ids=["another authority", "the system's authorities"])
async def test_a_certificate_of_an_unknown_authority_is_refused_in_one_line(
    secured: Secured, tmp_path: Path, name: str, ask: Ask, *, system: bool
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))

    with pytest.raises(Unavailable) as caught:
        await ask(secured.urls[name], None if system else other)

    assert "certificate verify failed" in str(caught.value).lower()
    assert len(str(caught.value).splitlines()) == 1


@clients
async def test_a_certificate_for_another_name_is_refused(secured: Secured, name: str, ask: Ask) -> None:
    """The same server, by a name that its certificate does not have."""
    url = secured.urls[name].replace("localhost", "127.0.0.1")

    with pytest.raises(Unavailable) as caught:
        await ask(url, secured.ca_files[name])

    assert "IP address mismatch, certificate is not valid for '127.0.0.1'" in str(caught.value)


async def test_readiness_names_the_server_whose_certificate_is_not_trusted(secured: Secured, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    settings = {"retriever-1": secured.settings("retriever") | {"MEMSTREAM_RETRIEVER_QDRANT_CA_FILE": str(other)}}
    parts = secured.parts
    before, parts.settings = parts.settings, settings
    if parts.runs("retriever-1"):
        await parts.stop("retriever-1")
    await parts.start("retriever-1", ready=False)
    async with parts.client("retriever-1") as retriever:

        async def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await retriever.get("/health/live")).is_success
            return False

        await until(answers, "the retriever answers")
        told = await retriever.get("/health/ready")
    await parts.stop("retriever-1")
    parts.settings = before

    assert told.status_code == 503
    assert told.json()["parts"]["redis"] == "ok"
    assert "certificate verify failed" in told.json()["parts"]["qdrant"].lower()


@pytest.mark.parametrize(
    ("content", "url", "says"),
    [
        (None, "rediss://localhost/0", "set {variable}: {file} can't be read: No such file or directory"),
        ("no certificate", "rediss://localhost/0", "set {variable}: {file} has no certificate in PEM format"),
        ("", "redis://localhost/0", "{file} is of no use for a redis URL: use rediss"),
    ],
    ids=["missing", "no certificate", "no TLS"],
)
async def test_an_unusable_ca_file_ends_the_start_with_one_line(
    tmp_path: Path, content: str | None, url: str, says: str
) -> None:
    file, variable = tmp_path / "ca.pem", "MEMSTREAM_INGEST_REDIS_CA_FILE"
    if content is not None:
        file.write_text(content)
    if url.startswith("redis:"):
        trustme.CA().cert_pem.write_to_path(str(file))

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memstream.ingest"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"MEMSTREAM_INGEST_REDIS_URL": url, variable: str(file)},
    )
    async with asyncio.timeout(PATIENCE):
        out, _ = await process.communicate()

    assert process.returncode == 78
    assert out.decode().splitlines() == [says.format(variable=variable, file=file)]


@pytest.mark.parametrize("ask", [ask_qdrant, ask_provider, ask_reranker])
async def test_a_ca_file_for_a_server_without_tls_is_a_mistake(tmp_path: Path, ask: Ask) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    with pytest.raises(ConfigurationError, match="use https"):
        await ask("http://127.0.0.1:1", file)


def test_the_fast_transport_is_for_servers_without_tls_alone(secured: Secured) -> None:
    """It knows no certificates; the general clients do."""
    assert not any(is_direct(secured.urls[name]) for name in ("qdrant", "embeddings"))
