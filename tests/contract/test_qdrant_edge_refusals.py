"""What the edge server refuses, in Qdrant's shape of an error and naming what was wrong."""

import httpx
import pytest
import pytest_asyncio

PATH = "/collections/refusals"
QUERY = ("POST", f"{PATH}/points/query/batch")
SHAPE = {"vectors": {"dense": {"size": 2, "distance": "Dot"}}, "sparse_vectors": {"terms": {}}}
POINT = {"id": 1, "vector": {"dense": [1.0, 0.0]}, "payload": {}}
FILTER = {"must": [{"key": "a", "match": {"value": 1}}]}


@pytest_asyncio.fixture(scope="session")
async def http(qdrant_http: httpx.AsyncClient) -> httpx.AsyncClient:
    """Make a collection to be refused by."""
    (await qdrant_http.put(PATH, json=SHAPE)).raise_for_status()
    (await qdrant_http.put(f"{PATH}/points?wait=true", json={"points": [POINT]})).raise_for_status()
    return qdrant_http


def error_of(answer: httpx.Response) -> str:
    """Return the text of an error, which must have Qdrant's shape."""
    body = answer.json()
    assert isinstance(body["time"], float)
    text: str = body["status"]["error"]
    return text


def text_with(options: object) -> object:
    """Return a text to be made a BM25 vector of."""
    return {"text": "a", "model": "qdrant/bm25", "options": options}


UNKNOWN_FIELDS: list[tuple[str, str, object, str]] = [
    ("PUT", "/collections/new", {"vectors": {"a": {"size": 2, "distance": "Dot"}}, "init_from": "x"}, "init_from"),
    ("PUT", "/collections/new", {"vectors": {"a": {"size": 2, "distance": "Dot", "sise": 3}}}, "sise"),
    ("PUT", "/collections/new", {"sparse_vectors": {"a": {"modifer": "idf"}}}, "modifer"),
    ("PUT", "/collections/new", {"sparse_vectors": {"a": {}}, "hnsw_config": {"mm": 1}}, "mm"),
    ("PUT", "/collections/new", {"strict_mode_config": {"search_allow_exact": True}}, "search_allow_exact"),
    ("PUT", f"{PATH}/index", {"field_name": "a", "field_schema": {"type": "keyword", "tenant": True}}, "tenant"),
    ("PUT", f"{PATH}/index", {"field_name": "a", "field_schema": {"type": "datetime", "is_tenant": True}}, "is_tenant"),
    ("PUT", f"{PATH}/points", {"points": [{**POINT, "score": 1}]}, "score"),
    ("PUT", f"{PATH}/points", {"points": [], "mode": "x"}, "mode"),
    ("PUT", f"{PATH}/points", {"points": [POINT], "update_mode": "insert"}, "insert"),
    ("POST", f"{PATH}/points/batch", {"operations": [{"clear_payload": {"points": [1]}}]}, "clear_payload"),
    ("POST", f"{PATH}/points/batch", {"operations": [{"delete": {"points": [1], "force": True}}]}, "force"),
    ("POST", f"{PATH}/points/batch", {"operations": [], "ordering": "strong"}, "ordering"),
    ("PUT", f"{PATH}/points", {"points": [{"id": 1, "vector": {"terms": {"indices": [], "value": []}}}]}, "value"),
    ("PUT", f"{PATH}/points", {"points": [{"id": 1, "vector": {"terms": text_with({"stemer": None})}}]}, "stemer"),
    ("PUT", f"{PATH}/points?ordering=last", {"points": [POINT]}, "ordering"),
    ("POST", f"{PATH}/points/delete", {"points": [1], "force": True}, "force"),
    ("POST", f"{PATH}/points/delete", {"points": [1], "shard_key": "a"}, "shard_key"),
    ("POST", f"{PATH}/points/payload", {"payload": {}, "points": [1], "keys": "x"}, "keys"),
    ("PUT", f"{PATH}/points/vectors", {"points": [], "filter": {}}, "filter"),
    (*QUERY, {"searches": [{"query": [1, 0], "using": "dense", "with_payloads": True}]}, "with_payloads"),
    (*QUERY, {"searches": [{"query": [1, 0], "using": "dense", "params": {"ef": 1}}]}, "ef"),
    (*QUERY, {"searches": [{"prefetch": [{"offset": 1}], "query": [1, 0], "using": "dense"}]}, "offset"),
    (*QUERY, {"searches": [], "limit": 1}, "limit"),
    ("POST", f"{PATH}/points/scroll", {"filter": {"must": [{"key": "a", "match": {"values": 1}}]}}, "values"),
    ("POST", f"{PATH}/points/scroll", {"filter": {"mustnot": []}}, "mustnot"),
    ("POST", f"{PATH}/points/scroll", {"filter": {"must": [{"slice": {"total": 2, "index": 0}}]}}, "slice"),
    ("POST", f"{PATH}/points/count", {"filter": {"must": [{"has_id": [1], "key2": 1}]}}, "key2"),
    ("POST", f"{PATH}/facet", {"key": "a", "top": 3}, "top"),
    ("POST", f"{PATH}/points/count?consistancy=1", {}, "consistancy"),
]


@pytest.mark.parametrize(("method", "path", "body", "field"), UNKNOWN_FIELDS)
async def test_an_unknown_field_is_named(
    http: httpx.AsyncClient, method: str, path: str, body: object, field: str
) -> None:
    answer = await http.request(method, path, json=body)
    assert answer.status_code == 400
    assert f"`{field}`" in error_of(answer)


WRONG: list[tuple[str, str, object, int, str]] = [
    ("GET", "/collections/absent", None, 404, "Not found: Collection `absent` doesn't exist!"),
    ("POST", "/collections/absent/points/query/batch", {}, 404, "Collection `absent` doesn't exist!"),
    ("PUT", PATH, SHAPE, 409, "Collection `refusals` already exists!"),
    ("PUT", "/collections/a:b", SHAPE, 422, "invalid characters"),
    ("PUT", "/collections/new", {}, 501, "a collection without any vectors"),
    ("PUT", "/collections/new", {"vectors": {"size": 2, "distance": "Dot"}}, 501, "an unnamed vector"),
    ("PUT", f"{PATH}/points", {"points": [{**POINT, "vector": {"b": [1]}}]}, 400, "Not existing vector name error: b"),
    ("PUT", f"{PATH}/points", {"points": [{**POINT, "vector": [1]}]}, 400, "must be an object"),
    ("PUT", f"{PATH}/points", {"points": [{**POINT, "vector": {"dense": [1]}}]}, 400, "expected dim: 2, got 1"),
    ("PUT", f"{PATH}/points", {"points": [{**POINT, "vector": {"dense": ["x", 1]}}]}, 400, "points[0]"),
    ("PUT", f"{PATH}/points", {"points": [{**POINT, "id": "abc"}]}, 400, "points[0].id"),
    ("PUT", f"{PATH}/points", {"points": [{**POINT, "id": -1}]}, 400, "points[0].id"),
    ("PUT", f"{PATH}/points", {"points": [{"id": 1}]}, 400, "`vector`"),
    ("PUT", f"{PATH}/points", {"points": [{"id": 1, "vector": {"terms": [1.0]}}]}, 400, "is sparse"),
    (
        "PUT",
        f"{PATH}/points",
        {"points": [{"id": 1, "vector": {"terms": {"indices": [1, 1], "values": [1, 2]}}}]},
        422,
        "must be unique",
    ),
    (
        "PUT",
        f"{PATH}/points",
        {"points": [{"id": 1, "vector": {"terms": {"text": "a", "model": "openai/x"}}}]},
        400,
        "openai/x",
    ),
    (*QUERY, {"searches": [{"query": text_with({"language": "x"}), "using": "terms"}]}, 400, "unsupported language"),
    (*QUERY, {"searches": [{"query": text_with({"tokenizer": "x"}), "using": "terms"}]}, 400, "`x` for `tokenizer`"),
    (*QUERY, {"searches": [{"query": text_with({"ascii_folding": 1}), "using": "terms"}]}, 400, "`ascii_folding`"),
    (*QUERY, {"searches": [{"query": text_with({"avg_len": 0}), "using": "terms"}]}, 400, "must be finite"),
    (*QUERY, {"searches": [{"query": [1], "using": "dense"}]}, 400, "expected dim: 2, got 1"),
    (*QUERY, {"searches": [{"query": [1, 0], "using": "b"}]}, 400, "Not existing vector name error: b"),
    (*QUERY, {"searches": [{"query": [1, 0]}]}, 400, "missing field `using`"),
    (*QUERY, {"searches": [{"query": {"fusion": "rrf"}, "using": "terms"}]}, 400, "`fusion`"),
    (*QUERY, {"searches": [{"query": 99, "using": "dense"}]}, 400, "searches[0].query"),
    (*QUERY, {"searches": [{"query": [1, 0], "using": "dense", "limit": 0}]}, 422, "limit"),
    (*QUERY, {"searches": [{"query": [1, 0], "using": "dense", "limit": -1}]}, 422, "limit"),
    ("POST", f"{PATH}/points/scroll", {"order_by": "unindexed"}, 400, "No range index"),
    ("POST", f"{PATH}/points/scroll", {"filter": {"must": [{"key": "a", "range": {"gte": "soon"}}]}}, 400, "date-time"),
    ("POST", f"{PATH}/facet", {"key": "unindexed"}, 400, "No appropriate index"),
    ("POST", f"{PATH}/points/delete", {"points": [1], "filter": FILTER}, 400, "exactly one of `points` and `filter`"),
    ("POST", f"{PATH}/points/payload", {"payload": {"a": 1}, "points": [99]}, 404, "No point with id 99"),
    ("DELETE", f"{PATH}/vectors/b", None, 404, "`b`"),
    ("PUT", f"{PATH}/vectors/dense", {"dense": {"size": 2, "distance": "Dot"}}, 400, "already exists"),
    ("PUT", f"{PATH}/points?wait=maybe", {"points": []}, 400, "`wait`"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_request_is_told_what_is_wrong(
    http: httpx.AsyncClient, case: tuple[str, str, object, int, str]
) -> None:
    method, path, body, status, text = case
    answer = await http.request(method, path, json=body)
    assert text in error_of(answer)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{PATH}/points/query"),
        ("POST", f"{PATH}/points/search"),
        ("POST", f"{PATH}/points/discover"),
        ("POST", f"{PATH}/snapshots"),
        ("PATCH", f"{PATH}/points"),
        ("GET", "/collections"),
        ("GET", "/telemetry"),
        ("POST", "/healthz"),
    ],
)
async def test_a_route_that_is_not_served_is_not_found(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 404
    assert error_of(answer) == f"Not found: the embedded Qdrant does not serve {method} {path}"


@pytest.mark.parametrize("content", [b"{", b'{"points": [NaN]}', b"[1]", b"\xff"])
async def test_malformed_json_is_a_format_error(http: httpx.AsyncClient, content: bytes) -> None:
    answer = await http.put(f"{PATH}/points", content=content)
    assert answer.status_code == 400
    assert error_of(answer).startswith("Format error in JSON body: ")


async def test_a_body_that_is_too_large_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.put(f"{PATH}/points", content=b" " * (33_554_432 + 1))
    assert answer.status_code == 413
    assert "33554432 bytes" in error_of(answer)
    assert (await http.get("/healthz")).is_success


async def test_a_refused_batch_of_points_writes_none_of_them(http: httpx.AsyncClient) -> None:
    points = [{**POINT, "id": 77}, {**POINT, "id": 78, "vector": {"dense": [1.0, 2.0, 3.0]}}]
    assert (await http.put(f"{PATH}/points?wait=true", json={"points": points})).status_code == 400
    assert (await http.post(f"{PATH}/points", json={"ids": [77]})).json()["result"] == []


async def test_a_refused_index_is_not_remembered(http: httpx.AsyncClient) -> None:
    index = {"field_name": "a[", "field_schema": "keyword"}
    assert (await http.put(f"{PATH}/index?wait=true", json=index)).status_code == 400
    assert (await http.get(PATH)).json()["result"]["payload_schema"] == {}
