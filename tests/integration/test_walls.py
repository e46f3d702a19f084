"""The embedded servers serve their own programs: no web page, no other user of the machine."""

import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import psutil
import pytest
import pytest_asyncio
import redis.exceptions
from installation import Installation, installed
from running_stack import RunningStack

from memstream.local.stack.data_directory import DataDirectory
from memstream.local.stack.failure import CannotStart
from memstream.streams.connections import connect

REQUESTS: Mapping[str, tuple[str, bytes]] = {
    "qdrant": ("/collections/memstream/points/delete", b'{"filter": {}}'),
    "embeddings": ("/v1/embeddings", b'{"model": "wordllama-256", "input": "the spare key"}'),
}
"""What does harm, or costs time."""

JSON = {"content-type": "application/json"}
OPEN = {"qdrant": ("/", "/readyz", "/healthz", "/livez"), "embeddings": ("/health/live", "/health/ready")}
pytestmark = pytest.mark.usefixtures("embedded")
servers = pytest.mark.parametrize("name", REQUESTS)


class Walled:
    """Servers of a data directory."""

    def __init__(self, parts: Installation) -> None:
        self.parts = parts
        secrets = parts.plan.directory.secrets()
        self.keys = {
            "qdrant": {"api-key": secrets.qdrant_api_key},
            "embeddings": {"authorization": f"Bearer {secrets.embeddings_api_key}"},
        }

    def url(self, name: str) -> str:
        return self.parts.url(name).removesuffix("/v1")

    async def post(self, name: str, headers: Mapping[str, str]) -> httpx.Response:
        """Send the harmful request."""
        path, body = REQUESTS[name]
        async with httpx.AsyncClient(base_url=self.url(name)) as http:
            return await http.post(path, content=body, headers=headers)


@pytest_asyncio.fixture(scope="module")
async def walled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walled]:
    """Start the three embedded servers, with a collection of Memstream's form."""
    async with installed(Installation(tmp_path_factory.mktemp("walls"))) as parts:
        await parts.start("redis", "qdrant", "embeddings")
        async with parts.qdrant() as qdrant:
            vectors = {"v": {"size": 2, "distance": "Cosine"}}
            (await qdrant.put("/collections/memstream", json={"vectors": vectors})).raise_for_status()
            point = {"id": 1, "vector": {"v": [1.0, 0.0]}, "payload": {}}
            put = await qdrant.put("/collections/memstream/points?wait=true", json={"points": [point]})
            put.raise_for_status()
        yield Walled(parts)


async def points(walled: Walled) -> int:
    async with walled.parts.qdrant() as qdrant:
        counted = await qdrant.post("/collections/memstream/points/count", json={"exact": True})
        return int(counted.raise_for_status().json()["result"]["count"])


@servers
async def test_a_web_page_is_refused_whatever_it_sends(walled: Walled, name: str) -> None:
    """A browser sends text/plain without asking the server first; `no-cors` requests carry an `Origin` at least."""
    for page in ("https://example.com", "http://127.0.0.1:3000", "null"):
        for kind in ("text/plain", "application/json"):
            answer = await walled.post(name, {**walled.keys[name], "content-type": kind, "origin": page})
            assert answer.status_code == 403, answer.text
    assert await points(walled) == 1


@servers
async def test_a_body_that_is_not_json_is_refused_even_with_the_key(walled: Walled, name: str) -> None:
    for kind in ("text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", ""):
        answer = await walled.post(name, {**walled.keys[name], "content-type": kind})
        assert answer.status_code == 415, answer.text
    assert await points(walled) == 1


@servers
async def test_a_name_that_leads_here_but_is_not_the_servers_own_is_refused(walled: Walled, name: str) -> None:
    """After DNS rebinding, a page's own origin is the server."""
    for host in ("attacker.example", "attacker.example:8103", "127.0.0.1.attacker.example", "localhost.example", ""):
        answer = await walled.post(name, {**walled.keys[name], **JSON, "host": host, "origin": f"http://{host}"})
        assert answer.status_code == 421, answer.text
    assert await points(walled) == 1


@servers
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "127.0.0.9"])
async def test_loopback_names_are_served(walled: Walled, name: str, host: str) -> None:
    async with httpx.AsyncClient(base_url=walled.url(name)) as http:
        port = httpx.URL(walled.url(name)).port
        answer = await http.get(OPEN[name][0], headers={"host": f"{host}:{port}"})
    assert answer.status_code == 200


@servers
async def test_without_the_key_nothing_is_served_but_health(walled: Walled, name: str) -> None:
    other = next(key for one, key in walled.keys.items() if one != name)
    for headers in ({}, other, {"api-key": ""}, {"api-key": "x" * 64}, {"authorization": "Bearer local"}):
        answer = await walled.post(name, {**JSON, **headers})
        assert answer.status_code == 401, answer.text
    assert await points(walled) == 1

    async with httpx.AsyncClient(base_url=walled.url(name)) as http:
        assert {(await http.get(path)).status_code for path in OPEN[name]} == {200}
        assert (await http.get("/nowhere")).status_code == 401


@servers
async def test_with_the_key_it_is(walled: Walled, name: str) -> None:
    async with httpx.AsyncClient(base_url=walled.url(name), headers=walled.keys[name]) as http:
        path = {"qdrant": "/collections/memstream/exists", "embeddings": "/v1/models"}[name]
        assert (await http.get(path)).status_code == 200


async def test_redis_asks_for_the_password(walled: Walled) -> None:
    port = walled.parts.port("redis")
    for password in ("", ":wrong@"):
        client = connect(f"redis://{password}127.0.0.1:{port}/0")
        with pytest.raises(redis.exceptions.AuthenticationError):
            await client.flushall()
        await client.aclose()
    await walled.parts.redis.ping()


async def test_no_command_line_shows_a_secret(stack: RunningStack) -> None:
    secrets = DataDirectory(stack.home).secrets().model_dump().values()
    shown = [word for one in stack.info.processes for word in psutil.Process(one.pid).cmdline()]
    assert len(shown) > len(stack.info.processes)
    assert not [word for word in shown for secret in secrets if secret in word]


async def test_no_log_has_a_secret(stack: RunningStack) -> None:
    secrets = [secret.encode() for secret in DataDirectory(stack.home).secrets().model_dump().values()]
    logs = [*(stack.home / "logs").iterdir(), stack.home / "up.log"]
    assert not [log for log in logs for secret in secrets if secret in log.read_bytes()]


async def test_another_user_reads_nothing_of_a_stack(stack: RunningStack) -> None:
    directories = [stack.home, *(path for path in stack.home.rglob("*") if path.is_dir())]
    assert stat.S_IMODE(stack.home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories if path.parent == stack.home} == {0o700}
    for name in ("stack.json", "secrets.json", "redis.conf", "keys.json", "home.json", "lock"):
        assert stat.S_IMODE((stack.home / name).stat().st_mode) == 0o600, name


async def test_what_reads_stack_json_finds_the_secrets(stack: RunningStack) -> None:
    assert stack.info.qdrant_api_key is not None
    qdrant = {"api-key": stack.info.qdrant_api_key}
    embeddings = {"authorization": f"Bearer {stack.info.embeddings_api_key}"}
    async with httpx.AsyncClient() as http:
        for url, key in (
            (f"{stack.info.qdrant_url}/collections/memstream", qdrant),
            (f"{stack.info.embeddings_url}/models", embeddings),
        ):
            assert (await http.get(url, headers=key)).status_code == 200
    assert await stack.redis.ping()


def test_secrets_are_drawn_once_for_each_directory(tmp_path: Path) -> None:
    """Also where there is data from before there were secrets."""
    first, second = DataDirectory(tmp_path / "a"), DataDirectory(tmp_path / "b")
    for directory in (first, second):
        directory.create()
        directory.create_secrets()
    before = first.secrets()
    first.create_secrets()
    assert first.secrets() == before
    drawn = [*before.model_dump().values(), *second.secrets().model_dump().values()]
    assert len(set(drawn)) == len(drawn) == 6
    assert {len(bytes.fromhex(secret)) for secret in drawn} == {32}


def test_a_directory_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in (home, home / "redis"):
        folder.mkdir(mode=0o755)
    DataDirectory(home).create()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home, *home.iterdir())} == {0o700}


def test_a_directory_of_everybodys_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "shared"
    home.mkdir()
    home.chmod(0o1777)
    with pytest.raises(CannotStart, match="shared with other users"):
        DataDirectory(home).create()


async def test_every_answer_tells_browsers_to_keep_and_run_nothing(stack: RunningStack) -> None:
    embedder = next(one.pid for one in stack.info.processes if one.name == "embedder-1")
    (port,) = {one.laddr.port for one in psutil.Process(embedder).net_connections() if one.status == "LISTEN"}
    urls = (stack.info.ingest_url, stack.info.retriever_url, stack.info.qdrant_url, f"http://127.0.0.1:{port}")
    async with httpx.AsyncClient() as http:
        for url in (*urls, stack.info.embeddings_url.removesuffix("/v1")):
            for path in ("/health/ready", "/nowhere", "/v1/messages"):
                headers = (await http.get(f"{url}{path}")).headers
                assert headers["cache-control"] == "no-store", url
                assert headers["x-content-type-options"] == "nosniff"
                assert headers["content-security-policy"].startswith("default-src 'none'")
                assert "server" not in headers


async def test_a_web_page_can_not_use_the_services(stack: RunningStack) -> None:
    """It has no key, and the browser is told nothing that would let it send one."""
    page = {"origin": "https://example.com"}
    asking = {**page, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    async with httpx.AsyncClient() as http:
        for url in (f"{stack.info.ingest_url}/v1/messages", f"{stack.info.retriever_url}/v1/search"):
            simple = await http.post(url, content=b"{}", headers={**page, "content-type": "text/plain"})
            preflight = await http.request("OPTIONS", url, headers=asking)
            assert simple.status_code == 401
            assert not preflight.is_success
            told = {*simple.headers, *preflight.headers}
            assert not [name for name in told if name.startswith("access-control-")]
