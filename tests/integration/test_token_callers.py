"""Tokens of an identity provider, as a running service takes them beside keys."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from exchanges import fields_of, line, post, post_lines, problem
from installation import Installation, installed
from unit.test_tokens import AUDIENCE, ISSUER, public, token
from waiting import until


@dataclass(frozen=True, slots=True)
class Issued:
    """An installation that takes tokens, and the file with its issuer's keys."""

    parts: Installation
    file: Path

    def caller(self, bearer: str) -> httpx.AsyncClient:
        """Call ingest with a token or a key."""
        return self.parts.client("ingest-1", key=bearer)


@pytest_asyncio.fixture(scope="module")
async def issued(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Issued]:
    """Run ingest with a key set in a file."""
    folder: Path = tmp_path_factory.mktemp("tokens")
    file = folder / "keys.json"
    file.write_text(json.dumps({"keys": [public("ES256")]}))
    values = {"ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "JWKS_FILE": str(file)}
    settings = {"ingest-1": {f"MEMSTREAM_INGEST_JWT_{name}": value for name, value in values.items()}}
    async with installed(Installation(folder / "stack", settings=settings)) as parts:
        await parts.start("redis")
        await parts.start("keys", "ingest-1")
        yield Issued(parts, file)


async def test_a_token_posts_as_its_user_and_a_key_goes_on_working(issued: Issued) -> None:
    async with issued.caller(token(sub="ana")) as ana, issued.parts.client("ingest-1") as tenant:
        await post(ana, "ana", "hello")
        other = await ana.post("/v1/messages", json={"user_id": "ben", "text": "hello"})
        batch = (await post_lines(ana, line("ben", "m"))).json()
        await post(tenant, "ben", "hello")

    assert fields_of(problem(other, 403, "forbidden")) == ["user_id"]
    assert batch["results"][0]["error"]["code"] == "forbidden"


async def test_a_token_without_a_scope_is_known_and_may_not(issued: Issued) -> None:
    async with issued.caller(token(scope="search admin")) as caller:
        refused = problem(await caller.post("/v1/messages", json={"user_id": "ana", "text": "x"}), 403, "forbidden")
        admin = problem(await caller.get("/v1/admin/keys"), 403, "forbidden")

    assert (refused["missing_scope"], admin["missing_scope"]) == ("ingest", "admin")


async def test_a_token_that_is_not_valid_is_answered_as_an_unknown_key(issued: Issued) -> None:
    wrong = [
        token(aud="others"),
        token(holder="stranger"),
        token(tenant=None),
        token(scope="x" * 9000),
        "a.b.c",
        "ms_x",
    ]
    answers = []
    for bearer in [*wrong, "ms_unknown"]:
        async with issued.caller(bearer) as caller:
            answers.append(await caller.get("/v1/erasures/0-none"))

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1


async def test_a_key_that_the_issuer_adds_is_found_without_a_restart(issued: Issued) -> None:
    issued.file.write_text(json.dumps({"keys": [public("ES256"), public("EdDSA")]}))

    async def is_known() -> bool:
        async with issued.caller(token("EdDSA")) as caller:
            return (await caller.get("/v1/messages/state?user_id=ana&message_id=none")).status_code == 404

    await until(is_known, "the new key is known")
