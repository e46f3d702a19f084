"""No way of reading the collection avoids the filter by owner: by its source, and by what a running stack answers."""

import ast
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from exchanges import post, search
from qdrant_client import models
from running_stack import RunningStack

import memstream.vectors.collection
import memstream.vectors.questions
from memstream.contracts import ids
from memstream.vectors.collection import Collection
from memstream.vectors.lookups import Lookup, Order
from memstream.vectors.questions import Question, owned
from memstream.vectors.space import EmbeddingSpace

READS = {"query_batch_points", "scroll", "facet"}
"""Calls of the client that give points; each is looked at below."""
OTHERS = {
    "collection_exists",
    "get_collection",
    "create_collection",
    "create_payload_index",
    "http",
    "delete",
    "close",
}
"""Calls that give none."""
CARRIERS = {
    "QueryRequest": "filter",
    "scroll": "scroll_filter",
    "facet": "facet_filter",
    "FilterSelector": "filter",
}
"""What reads or removes points, by the argument that says which."""
KEYS = {"filter", "corpus"}
"""Which points a body that is written by hand is about."""

SOURCE = Path(inspect.getfile(memstream.vectors.collection))
TREE = ast.parse(SOURCE.read_text())
BODIES = ast.parse(Path(inspect.getfile(memstream.vectors.questions)).read_text())


def functions(tree: ast.AST = TREE) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def calls(node: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """List the calls within a node, by the last part of their names."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            if isinstance(inner.func, ast.Attribute):
                yield inner.func.attr, inner
            elif isinstance(inner.func, ast.Name):
                yield inner.func.id, inner


def is_owned(value: ast.expr, function: ast.AST) -> bool:
    """Say whether an expression is `owned(…)`, that as JSON, or a name that is bound to nothing else."""
    if isinstance(value, ast.Call):
        assert isinstance(value.func, ast.Name)
        if value.func.id == "as_json":
            (inner,) = value.args
            return is_owned(inner, function)
        return value.func.id == "owned"
    if not isinstance(value, ast.Name):
        return False
    bound = [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == value.id for target in node.targets)
    ]
    return bool(bound) and all(is_owned(one, function) for one in bound)


def test_the_client_is_called_in_known_ways_alone() -> None:
    used = {
        node.attr
        for node in ast.walk(TREE)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "_client"
    }

    assert used <= READS | OTHERS
    assert used >= READS


def test_past_the_clients_own_methods_points_are_written_and_questions_asked_and_nothing_else() -> None:
    doors = [node for node in ast.walk(TREE) if isinstance(node, ast.Attribute) and node.attr in {"http", "rest"}]
    requests = [(f.name, call) for f in functions() for name, call in calls(f) if name == "request"]
    found = {}
    for function, call in requests:
        # `client.http.request`, on these doors
        assert isinstance(call.func, ast.Attribute)
        assert isinstance(call.func.value, ast.Attribute)
        assert call.func.value.value in doors
        given = {word.arg: word.value for word in call.keywords}
        found[function] = (ast.literal_eval(given["method"]), ast.literal_eval(given["url"]))

    assert len(requests) == len(doors)
    assert found == {
        "upsert": ("PUT", "/collections/{name}/points"),
        "_query": ("POST", "/collections/{name}/points/query/batch"),
    }


def test_what_goes_over_the_wire_are_questions_and_nothing_else() -> None:
    wires = [
        node
        for node in ast.walk(TREE)
        if isinstance(node, ast.Attribute) and node.attr == "_wire" and isinstance(node.ctx, ast.Load)
    ]
    posts = [(f.name, call) for f in functions() for name, call in calls(f) if name == "post"]
    queries = [call for name, call in calls(TREE) if name == "_query"]

    assert [name for name, _ in posts] == ["_query"]
    # Beside that one it is looked for, and closed.
    assert {
        ast.unparse(node) for node in ast.walk(TREE) if isinstance(node, ast.Attribute) and node.value in wires
    } == {
        "self._wire.post",
        "self._wire.close",
    }
    (query,) = queries
    (body,) = [word.value for word in query.keywords]
    assert isinstance(body, ast.Call)
    assert isinstance(body.func, ast.Name)
    assert body.func.id == "write_queries"


def test_every_body_that_is_written_by_hand_is_narrowed_down_to_an_owner() -> None:
    found = [
        (function, key.value, value)
        for function in functions(BODIES)
        for node in ast.walk(function)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value in KEYS
    ]

    assert {key for _, key, _ in found} == KEYS
    for function, key, value in found:
        assert is_owned(value, function), f"{function.name}: {key}, line {value.lineno}"


def test_the_client_is_not_handed_on() -> None:
    uses = [node for node in ast.walk(TREE) if isinstance(node, ast.Attribute) and node.attr == "_client"]
    within = [node.value for node in ast.walk(TREE) if isinstance(node, ast.Attribute)]

    assert [node for node in uses if isinstance(node.ctx, ast.Load) and node not in within] == []


def test_whatever_reads_points_is_narrowed_down_to_an_owner() -> None:
    found = set()
    for function in functions():
        for name, call in calls(function):
            if name in CARRIERS:
                found.add(name)
                (value,) = [keyword.value for keyword in call.keywords if keyword.arg == CARRIERS[name]]
                assert is_owned(value, function), f"{function.name}: {name}, line {call.lineno}"

    assert found == set(CARRIERS)


def test_no_other_module_talks_to_qdrant() -> None:
    root = SOURCE.parents[5]
    sources = [file for room in ("services", "shared", "client") for file in (root / room).rglob("src/**/*.py")]

    assert SOURCE in sources
    assert [file for file in sources if "QdrantClient" in file.read_text()] == [SOURCE]


@pytest_asyncio.fixture
async def collection(stack: RunningStack) -> AsyncIterator[Collection]:
    """Open the running stack's collection."""
    space = EmbeddingSpace(stack.info.embedding_model, 384)
    opened = Collection(space, url=stack.info.qdrant_url, api_key=None, name="memstream", timeout=5)
    yield opened
    await opened.aclose()


async def of_two(stack: RunningStack, user: str) -> tuple[str, str]:
    """Let two users say the same, and name their owners."""
    for one in (user, f"{user}-b"):
        sent = await post(stack.ingest, one, "The password is under the keyboard.", message_id="m")
        await search(stack.retriever, one, "x", wait_for=[sent["position"]])
    return ids.owner("local", user), ids.owner("local", f"{user}-b")


WIDE = [
    None,
    models.Filter(should=[models.FieldCondition(key="message_id", match=models.MatchValue(value="m"))]),
    models.Filter(must_not=[models.FieldCondition(key="owner", match=models.MatchValue(value="nobody"))]),
    models.Filter(should=[models.Filter(), models.Filter(must_not=[models.HasIdCondition(has_id=[])])]),
    models.Filter(min_should=models.MinShould(conditions=[], min_count=0)),
]


@pytest.mark.parametrize("conditions", WIDE, ids=range(len(WIDE)))
async def test_no_condition_widens_a_question_beyond_its_owner(
    stack: RunningStack, collection: Collection, user: str, conditions: models.Filter | None
) -> None:
    mine, theirs = await of_two(stack, user)

    asked = [
        Question(owner, vector, text, conditions, candidates=100)
        for owner in (mine, theirs)
        for vector, text in (([0.05] * 384, None), (None, "password"), ([0.05] * 384, "password"))
    ]
    answers = await collection.ask(asked)

    points = {mine: str(ids.point_id("local", user, "m", 0)), theirs: str(ids.point_id("local", f"{user}-b", "m", 0))}
    for question, answer in zip(asked, answers, strict=True):
        found = {*(answer.dense or ()), *(answer.keyword or ()), *answer.payloads}
        assert found == {points[question.owner]}


@pytest.mark.parametrize("conditions", WIDE, ids=range(len(WIDE)))
async def test_no_condition_widens_a_lookup_or_a_page_beyond_its_owner(
    stack: RunningStack, collection: Collection, user: str, conditions: models.Filter | None
) -> None:
    mine, theirs = await of_two(stack, user)
    wanted = conditions or models.Filter()

    for owner, name in ((mine, user), (theirs, f"{user}-b")):
        for order in (None, Order("occurred_at"), Order("occurred_at", descending=True)):
            (looked_up,) = await collection.look_up([Lookup(owner, wanted, 100, order)])
            paged = await collection.page(owner, wanted, 100, order=order)
            assert [one.id for one in looked_up] == [str(ids.point_id("local", name, "m", 0))]
            assert paged == looked_up


async def test_a_point_is_not_given_to_another_owner_who_knows_its_id(
    stack: RunningStack, collection: Collection, user: str
) -> None:
    mine, theirs = await of_two(stack, user)
    point = str(ids.point_id("local", user, "m", 0))
    known = models.Filter(must=[models.HasIdCondition(has_id=[point])])

    given, refused = await collection.look_up([Lookup(mine, known, 1), Lookup(theirs, known, 1)])

    assert ([one.id for one in given], refused) == ([point], [])


def test_an_owner_stands_beside_conditions_not_among_them() -> None:
    conditions = models.Filter(should=[models.HasIdCondition(has_id=[1])])
    narrowed = owned("local/ana", conditions)

    assert narrowed.must == [models.FieldCondition(key="owner", match=models.MatchValue(value="local/ana")), conditions]
    assert (narrowed.should, narrowed.must_not, narrowed.min_should) == (None, None, None)
