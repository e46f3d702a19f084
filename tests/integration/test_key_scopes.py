"""Keys of a scope, a user and a device: proved on every route of both services that their OpenAPI documents list."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from contract.documents import committed, resolve
from exchanges import answered, fields_of, ids_of, line, post, post_lines, problem, search
from running_stack import RunningStack
from waiting import until

from memstream.contracts import keys
from memstream.contracts.api_keys import SCOPES
from memstream.web.credentials import digest_of

REVOCATION_SECONDS = 2.0
PATH = "/v1/admin/keys"
SERVICES = ("ingest", "retriever")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A route that needs a key."""

    service: str
    method: str
    path: str
    scope: str
    document: Json
    operation: Json

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        """The names of its query parameters."""
        return [one["name"] for one in self.operation.get("parameters", []) if one["in"] == "query"]

    @property
    def bodies(self) -> Mapping[str, Json]:
        """The schemas of its body, by media type."""
        content = self.operation.get("requestBody", {}).get("content", {})
        return {media: one["schema"] for media, one in content.items()}


def routes() -> Iterator[Route]:
    """List the routes that need a key. One without exactly one scope is an error."""
    for service in SERVICES:
        document = committed(f"openapi/{service}.json")
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if operation.get("tags") == ["operations"]:
                    continue
                ((scope,),) = (requirement["key"] for requirement in operation["security"])
                yield Route(service, method.upper(), path, scope, document, operation)


ROUTES = list(routes())


def names_a_user(route: Route, schema: Json) -> bool:
    """Say whether a body may name a user, at any depth."""
    if "MessageIn" in schema.get("description", ""):
        return True  # a line of NDJSON, which has no place for a reference
    if "$ref" in schema:
        schema = resolve(route.document, schema["$ref"])
    parts = [*schema.get("properties", {}).values(), schema.get("items", {}), *schema.get("anyOf", [])]
    return "user_id" in schema.get("properties", {}) or any(names_a_user(route, part) for part in parts if part)


OF_USERS = [
    route
    for route in ROUTES
    if route.scope != "admin"
    and ("user_id" in route.parameters or any(names_a_user(route, body) for body in route.bodies.values()))
]


@contextlib.asynccontextmanager
async def operator(stack: RunningStack) -> AsyncIterator[httpx.AsyncClient]:
    """Be an operator."""
    headers = {"Authorization": f"Bearer {stack.info.admin_key}"}
    async with httpx.AsyncClient(base_url=stack.ingest.base_url, headers=headers, timeout=60) as client:
        yield client


async def created(stack: RunningStack, **fields: Any) -> Json:  # noqa: ANN401 - any JSON
    """Make a key of the stack's tenant, unless the fields say otherwise."""
    async with operator(stack) as client:
        return answered(await client.post(PATH, json={"tenant": "local", **fields}), 201)


@contextlib.asynccontextmanager
async def holder(stack: RunningStack, service: str, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Call a service with a key."""
    base = {"ingest": stack.ingest, "retriever": stack.retriever}[service].base_url
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        yield client


def request(route: Route, user: str) -> Json:
    """Write a request that names a user wherever it can, and is right otherwise."""
    message = {"user_id": user, "text": "hello", "message_id": "m"}
    question = {"user_id": user, "query": "hello"}
    bodies: dict[str, Json] = {
        "MessageIn": message,
        "MessagePut": message,
        "BatchIn": {"messages": [message]},
        "SearchIn": question,
        "SearchBatchIn": {"searches": [{"user_id": "own", "query": "hello"}, question]},
        "ContextIn": {**question, "token_budget": 100},
        "SimilarityIn": {"texts": ["a", "b"]},
        "ApiKeyIn": {"tenant": "local"},
        "RotationIn": {},
        "DeadLetterIds": {"ids": ["0.1-0"]},
        "TenantPolicyIn": {"tenant": "policy-of-nobody"},
    }
    values = {"user_id": user, "message_id": "m"}
    sent: Json = {"params": {name: values[name] for name in route.parameters if name in values}}
    if reference := route.bodies.get("application/json", {}).get("$ref"):
        # A route whose body is not known here fails: add it, so that the rules below are proved for it.
        sent["json"] = bodies[reference.rpartition("/")[2]]
    return sent


def test_the_routes_that_name_a_user_are_found() -> None:
    assert {str(route) for route in OF_USERS} >= {
        "POST /v1/messages",
        "POST /v1/messages/batch",
        "GET /v1/messages/state",
        "DELETE /v1/messages",
        "DELETE /v1/users",
        "POST /v1/search",
        "POST /v1/search/batch",
        "POST /v1/context",
        "GET /v1/timeline",
    }


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_route_refuses_a_key_that_has_every_scope_but_its_own(stack: RunningStack, route: Route) -> None:
    others = [scope for scope in SCOPES if scope not in {route.scope, "admin"}]
    path = route.path.replace("{", "").replace("}", "")
    for scopes in (others, *(() if route.scope == "admin" else (["admin"],))):
        key = (await created(stack, scopes=scopes))["key"]
        async with holder(stack, route.service, key) as client:
            response = await client.request(route.method, path, **request(route, "own"))

        refused = problem(response, 403, "forbidden")
        assert refused["missing_scope"] == route.scope
        assert f"`{route.scope}`" in refused["detail"]
        assert response.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{route.scope}"'


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_route_takes_a_key_with_its_scope_alone(stack: RunningStack, user: str, route: Route) -> None:
    key = (await created(stack, scopes=[route.scope]))["key"]

    async with holder(stack, route.service, key) as client:
        path = route.path.replace("{erasure_id}", "0-none").replace("{", "").replace("}", "")
        response = await client.request(route.method, path, **request(route, user))

    assert response.status_code in {200, 201, 202, 204, 404}, response.text


@pytest.mark.parametrize("route", OF_USERS, ids=str)
@pytest.mark.parametrize("other", ["other", "*", "own ", "OWN"])
async def test_a_key_of_a_user_is_refused_wherever_it_names_another(
    stack: RunningStack, route: Route, other: str
) -> None:
    key = (await created(stack, user_id="own"))["key"]
    sent = request(route, other)
    if other == "*" and route.path == "/v1/messages":
        sent.get("json", {}).update(kind="document")

    async with holder(stack, route.service, key) as client:
        response = await client.request(route.method, route.path, **sent)
        own = await client.request(route.method, route.path, **request(route, "own"))

    if route.path == "/v1/messages/batch":
        (result,) = answered(response, 200)["results"]
        assert result["error"]["code"] in {"forbidden", "invalid"}
    elif other == "*" and response.status_code == 422:
        # Nobody searches as the user of shared documents.
        assert "user_id" in str(problem(response, 422, "invalid")["errors"])
    else:
        assert fields_of(problem(response, 403, "forbidden")) == ["user_id"]
    assert own.status_code in {200, 202, 404}, own.text


async def test_lines_of_other_users_are_refused_one_by_one(stack: RunningStack, user: str) -> None:
    key = (await created(stack, user_id=user))["key"]

    async with holder(stack, "ingest", key) as client:
        out = answered(
            await post_lines(
                client, b"\n".join([line("other", "a"), line(user, "b"), line("*", "c", kind="document")])
            ),
            200,
        )

    assert [one.get("error", {}).get("code") for one in out["results"]] == ["forbidden", None, "forbidden"]
    assert (out["accepted"], out["rejected"]) == (1, 2)


async def test_a_receipt_is_shown_to_the_key_of_its_user_and_unknown_to_another(stack: RunningStack, user: str) -> None:
    own, other = [(await created(stack, user_id=name))["key"] for name in (user, f"not-{user}")]
    async with holder(stack, "ingest", own) as client:
        erasure = answered(await client.delete("/v1/users", params={"user_id": user}), 202)["erasure_id"]
        assert answered(await client.get(f"/v1/erasures/{erasure}"), 200)["erasure_id"] == erasure

    async with holder(stack, "ingest", other) as client:
        refused = problem(await client.get(f"/v1/erasures/{erasure}"), 404, "not-found")
        unknown = problem(await client.get(f"/v1/erasures/{erasure[:-1]}x"), 404, "not-found")

    assert refused == unknown
    assert answered(await stack.ingest.get(f"/v1/erasures/{erasure}"), 200)["scope"] == "user"


async def test_a_key_of_a_user_finds_shared_documents_as_every_user_does(stack: RunningStack, user: str) -> None:
    document = {"kind": "document", "message_id": f"handbook-of-{user}"}
    sent = await post(stack.ingest, "*", f"The handbook of {user} says that dogs stay outside.", **document)
    key = (await created(stack, user_id=user))["key"]

    async with holder(stack, "retriever", key) as client:
        found = await search(
            client, user, f"what does the handbook of {user} say?", shared=True, wait_for=[sent["position"]]
        )

    assert f"handbook-of-{user}" in ids_of(found)


async def test_a_new_key_is_shown_once_and_only_its_digest_is_kept(stack: RunningStack) -> None:
    made = await created(stack, user_id="ana", device="watch", scopes=["ingest"])

    dumps = [name + (await stack.redis.dump(name) or b"") async for name in stack.redis.scan_iter("memstream:*")]
    async with operator(stack) as client:
        listed = (await client.get(PATH)).text + (await client.get(f"{PATH}/audit")).text

    assert not [dump for dump in dumps if made["key"].encode() in dump]
    assert made["key"] not in listed
    assert made["key_id"] in listed
    assert await stack.redis.exists(keys.credential(digest_of(made["key"])))


async def test_keys_are_listed_by_tenant_in_pages_until_they_are_revoked(stack: RunningStack, user: str) -> None:
    tenant = f"of-{user}"
    made = [await created(stack, tenant=tenant, device=f"watch {n}") for n in range(3)]
    async with operator(stack) as client:
        first = answered(await client.get(PATH, params={"tenant": tenant, "limit": 2}), 200)
        rest = answered(await client.get(PATH, params={"tenant": tenant, "cursor": first["cursor"]}), 200)
        assert [key["device"] for key in first["keys"] + rest["keys"]] == ["watch 0", "watch 1", "watch 2"]
        assert rest["cursor"] is None
        assert not {"key", "digest"} & set(first["keys"][0])

        assert (await client.delete(f"{PATH}/{made[1]['key_id']}")).status_code == 204
        problem(await client.delete(f"{PATH}/{made[1]['key_id']}"), 404, "not-found")
        left = answered(await client.get(PATH, params={"tenant": tenant}), 200)["keys"]

    assert [key["key_id"] for key in left] == [made[0]["key_id"], made[2]["key_id"]]


async def status(client: httpx.AsyncClient) -> int:
    """Ask something that needs no more than the key."""
    return (await client.post("/v1/messages/batch", headers={"content-type": "text/plain"})).status_code


async def test_unknown_revoked_and_expired_keys_are_answered_alike(stack: RunningStack) -> None:
    revoked = await created(stack)
    expired = await created(stack, expires_at="2099-01-01T00:00:00Z")
    await stack.redis.pexpire(keys.credential(digest_of(expired["key"])), 1)
    async with operator(stack) as client:
        assert (await client.delete(f"{PATH}/{revoked['key_id']}")).status_code == 204

    async def answer(key: str) -> tuple[int, Mapping[str, str], bytes]:
        async with holder(stack, "ingest", key) as client:
            response = await client.get("/v1/messages/state", params={"user_id": "u", "message_id": "m"})
        headers = {name: value for name, value in response.headers.items() if name != "date"}
        return response.status_code, headers, response.content

    async def is_gone() -> bool:
        return not await stack.redis.exists(keys.credential(digest_of(expired["key"])))

    await until(is_gone, "the key has expired")
    answers = [await answer(key) for key in (revoked["key"], expired["key"], "ms_unknown", "x" * 9000, "a.b.c")]

    assert answers[0][0] == 401
    assert all(one == answers[0] for one in answers)


async def test_a_rotated_key_works_beside_the_new_one_until_the_overlap_is_over(stack: RunningStack, user: str) -> None:
    old = await created(stack, user_id=user, device="watch", scopes=["ingest", "search"])
    async with operator(stack) as client:
        path = f"{PATH}/{old['key_id']}/rotate"
        new = answered(await client.post(path, json={"overlap": 600}), 201)
        shown = (await client.get(PATH, params={"tenant": "local", "limit": 1000})).json()["keys"]
        again = answered(await client.post(path, json={"overlap": 3600}), 201)
    both = {key["key_id"]: key for key in shown if key["key_id"] in {old["key_id"], new["key_id"]}}

    for key in (old["key"], new["key"], again["key"]):
        async with holder(stack, "ingest", key) as client:
            await post(client, user, "hello")
    assert {new[name] == old[name] for name in ("tenant", "user_id", "device", "scopes")} == {True}
    assert new["rotated_from"] == old["key_id"]
    assert both[new["key_id"]]["expires_at"] is None
    # A second rotation never makes the old key live longer.
    left = await stack.redis.pttl(keys.credential(digest_of(old["key"])))
    assert 0 < left <= 600_000


async def test_a_key_that_ends_with_the_calendar_is_rotated(stack: RunningStack) -> None:
    old = await created(stack, expires_at="9999-12-31T23:59:59.999Z")
    async with operator(stack) as client:
        new = answered(await client.post(f"{PATH}/{old['key_id']}/rotate", json={}), 201)

    assert new["expires_at"].startswith("9999-12-31T23:59:59")


async def test_a_listed_key_that_this_release_cannot_read_is_still_revoked(stack: RunningStack) -> None:
    made = await created(stack, tenant="of-later")
    name = keys.credential(digest_of(made["key"]))
    record: Any = await stack.redis.hget(name, "record")
    later = record.replace(b'"search"', b'"summarize"')
    await stack.redis.hset(name, "record", later)
    async with operator(stack) as client:
        assert answered(await client.get(PATH, params={"tenant": "of-later"}), 200)["keys"] == []

        assert (await client.delete(f"{PATH}/{made['key_id']}")).status_code == 204
        (entry,) = answered(await client.get(f"{PATH}/audit", params={"limit": 1}), 200)["entries"]

    assert not await stack.redis.exists(name)
    assert (entry["action"], entry["key_id"]) == ("revoked", made["key_id"])


async def test_without_an_overlap_a_rotated_key_ends_at_once(stack: RunningStack) -> None:
    old = await created(stack)
    async with operator(stack) as client, holder(stack, "ingest", old["key"]) as client_of_old:
        assert await status(client_of_old) != 401
        answered(await client.post(f"{PATH}/{old['key_id']}/rotate", json={"overlap": 0}), 201)

        async def is_refused() -> bool:
            return await status(client_of_old) == 401

        await until(is_refused, "the old key is refused")
        problem(await client.post(f"{PATH}/{old['key_id']}/rotate", json={}), 404, "not-found")


async def test_a_revoked_key_ends_within_seconds_on_every_replica(stack: RunningStack, user: str) -> None:
    made = await created(stack)
    clock = asyncio.get_running_loop().time
    async with (
        operator(stack) as client,
        holder(stack, "ingest", made["key"]) as ingest,
        holder(stack, "retriever", made["key"]) as retriever,
    ):

        async def answers() -> list[int]:
            body = {"user_id": user, "query": "hello"}
            asked = [await ingest.get("/v1/erasures/0-none"), await retriever.post("/v1/search", json=body)]
            return [response.status_code for response in asked]

        assert await answers() == [404, 200]
        assert (await client.delete(f"{PATH}/{made['key_id']}")).status_code == 204
        revoked_at = clock()

        async def is_refused_or_late() -> bool:
            return await answers() == [401, 401] or clock() - revoked_at >= REVOCATION_SECONDS

        await until(is_refused_or_late, "both refuse it, or the time is over")
        # Whatever is asked from then on is refused, however slow the machine is that asks and answers.
        assert await answers() == [401, 401]


async def test_the_audit_record_says_who_did_what_when(stack: RunningStack, user: str) -> None:
    by = await created(stack, scopes=["admin"], device="laptop")
    async with holder(stack, "ingest", by["key"]) as client:
        body = {"tenant": "acme", "user_id": user, "device": "watch", "scopes": ["search"]}
        made = answered(await client.post(PATH, json=body), 201)
        new = answered(await client.post(f"{PATH}/{made['key_id']}/rotate", json={}), 201)
        assert (await client.delete(f"{PATH}/{new['key_id']}")).status_code == 204
        first = answered(await client.get(f"{PATH}/audit", params={"limit": 2}), 200)
        rest = answered(await client.get(f"{PATH}/audit", params={"limit": 2, "cursor": first["cursor"]}), 200)
        before_all = answered(await client.get(f"{PATH}/audit", params={"cursor": "0-0"}), 200)

    assert before_all == {"entries": [], "cursor": None}
    entries = first["entries"] + rest["entries"]
    assert [(entry["action"], entry["key_id"]) for entry in entries] == [
        ("revoked", new["key_id"]),
        ("rotated", new["key_id"]),
        ("created", made["key_id"]),
        ("created", by["key_id"]),
    ]
    assert [entry["actor"] for entry in entries[:3]] == [by["key_id"]] * 3
    assert entries[3]["actor"].startswith("sha256-")
    assert (entries[2]["user_id"], entries[2]["device"], entries[2]["scopes"]) == (user, "watch", ["search"])
    assert entries[1]["rotated_from"] == made["key_id"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "tenant"),
        ({"tenant": "A/B"}, "tenant"),
        ({"tenant": "acme", "scopes": []}, "scopes"),
        ({"tenant": "acme", "scopes": ["all"]}, "scopes.0"),
        ({"tenant": "acme", "scopes": ["admin", "search"]}, "body"),
        ({"tenant": "acme", "scopes": ["admin"], "user_id": "ana"}, "body"),
        ({"tenant": "acme", "user_id": "*"}, "user_id"),
        ({"tenant": "acme", "user_id": ""}, "user_id"),
        ({"tenant": "acme", "device": "x" * 300}, "device"),
        ({"tenant": "acme", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"tenant": "acme", "expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"tenant": "acme", "expires_at": "9999-12-31T23:59:59-10:00"}, "expires_at"),
        ({"tenant": "acme", "key": "ms_mine"}, "key"),
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(stack: RunningStack, fields: Json, named: str) -> None:
    async with operator(stack) as client:
        refused = problem(await client.post(PATH, json=fields), 422, "invalid")

    assert fields_of(refused) == [named]
