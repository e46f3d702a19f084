"""The edge server as a process: what it keeps through crashes, and how it starts and ends."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from contract.qdrant_backends import EdgeServer, run_edge
from ports import free_ports
from waiting import PATIENCE, until

from memstream.local.qdrant.maintenance import MIN_CHANGED_POINTS, SECONDS_PER_POINT, Maintenance, is_idle_enough
from memstream.local.qdrant.storage import Storage
from memstream.local.qdrant.updates import STEP, read_upsert
from memstream.local.qdrant.vectors import VectorSchema

SHAPE = {"vectors": {"dense": {"size": 4, "distance": "Dot"}}, "sparse_vectors": {"bm25": {"modifier": "idf"}}}
WRITERS = 4
PER_BATCH = 16


def batch(start: int, size: int = PER_BATCH) -> dict[str, Any]:
    document = {"text": "a few words", "model": "qdrant/bm25"}
    return {
        "points": [
            {
                "id": start + at,
                "vector": {"dense": [1, 2, 3, start + at], "bm25": document},
                "payload": {"owner": "ann"},
            }
            for at in range(size)
        ]
    }


def wide_batch(start: int, size: int) -> dict[str, Any]:
    """Make points as light as can be, of many owners."""
    return {
        "points": [
            {"id": start + at, "vector": {"dense": [1, 2, 3, at]}, "payload": {"owner": f"user-{at % 100}"}}
            for at in range(size)
        ]
    }


async def write_until_refused(http: httpx.AsyncClient, start: int, acknowledged: set[int]) -> None:
    """Write batch after batch, noting what was acknowledged, until the server is gone."""
    while True:
        try:
            answer = await http.put("/collections/memories/points?wait=true", json=batch(start))
        except httpx.TransportError:
            return
        assert answer.json()["result"]["status"] == "completed"
        acknowledged.update(range(start, start + PER_BATCH))
        start += PER_BATCH


@pytest_asyncio.fixture
async def http(qdrant_edge: EdgeServer) -> AsyncIterator[httpx.AsyncClient]:
    """Reach an edge server that has one collection."""
    async with httpx.AsyncClient(base_url=qdrant_edge.url) as client:
        (await client.put("/collections/memories", json=SHAPE)).raise_for_status()
        schema = {"field_name": "owner", "field_schema": {"type": "keyword", "is_tenant": True}}
        (await client.put("/collections/memories/index", json=schema)).raise_for_status()
        yield client


@pytest.mark.parametrize("enough", [100, 1500])
async def test_every_acknowledged_point_survives_a_kill_in_mid_write(
    qdrant_edge: EdgeServer, http: httpx.AsyncClient, enough: int
) -> None:
    acknowledged: set[int] = set()
    writers = [
        asyncio.create_task(write_until_refused(http, number * 1_000_000, acknowledged)) for number in range(WRITERS)
    ]

    async def has_enough() -> bool:
        return len(acknowledged) >= enough

    await until(has_enough, "enough writes are acknowledged")
    qdrant_edge.kill()
    await asyncio.gather(*writers)

    revived = await EdgeServer(qdrant_edge.data).ready()
    async with httpx.AsyncClient(base_url=revived.url) as again:
        ids = {"ids": sorted(acknowledged), "with_vector": True}
        found = (await again.post("/collections/memories/points", json=ids)).json()["result"]
        assert {each["id"] for each in found} == acknowledged
        assert all(each["vector"]["dense"][3] == each["id"] and each["vector"]["bm25"]["indices"] for each in found)
        owner = {"filter": {"must": [{"key": "owner", "match": {"value": "ann"}}]}}
        assert (await again.post("/collections/memories/points/count", json=owner)).json()["result"]["count"] >= enough
    revived.kill()


async def test_settings_indexes_and_vectors_survive_a_kill(qdrant_edge: EdgeServer, http: httpx.AsyncClient) -> None:
    config = {"dense": {"size": 3, "distance": "Cosine"}}
    (await http.put("/collections/memories/vectors/next?wait=true", json=config)).raise_for_status()
    before = (await http.get("/collections/memories")).json()["result"]
    qdrant_edge.kill()

    revived = await EdgeServer(qdrant_edge.data).ready()
    async with httpx.AsyncClient(base_url=revived.url) as again:
        after = (await again.get("/collections/memories")).json()["result"]
        assert after["config"] == before["config"]
        assert after["config"]["params"]["vectors"].keys() == {"dense", "next"}
        assert after["payload_schema"]["owner"]["params"] == {"type": "keyword", "is_tenant": True}
        point = {"points": [{"id": 1, "vector": {"next": [1, 0, 0]}}]}
        assert (await again.put("/collections/memories/points?wait=true", json=point)).is_success
    revived.kill()


async def test_a_change_that_a_crash_cut_short_is_finished_at_the_next_start(
    qdrant_edge: EdgeServer, http: httpx.AsyncClient
) -> None:
    """The record is written before the engine changes; here it is all that was written."""
    (await http.put("/collections/memories/points?wait=true", json=batch(0))).raise_for_status()
    qdrant_edge.kill()
    (record_file,) = (qdrant_edge.data / "collections").glob("*/collection.json")
    record = json.loads(record_file.read_text())
    record["indexes"] = {"other": "integer"}
    record["config"]["vectors"] = {"next": {"size": 2, "distance": "Dot"}}
    record_file.write_text(json.dumps(record))

    revived = await EdgeServer(qdrant_edge.data).ready()
    async with httpx.AsyncClient(base_url=revived.url) as again:
        described = (await again.get("/collections/memories")).json()["result"]
        assert described["payload_schema"].keys() == {"other"}
        order = {"order_by": "other"}
        assert (await again.post("/collections/memories/points/scroll", json=order)).is_success
        point = {"points": [{"id": 1, "vector": {"next": [1, 0]}}]}
        assert (await again.put("/collections/memories/points?wait=true", json=point)).is_success
        dropped = {"points": [{"id": 1, "vector": {"dense": [1, 0, 0, 0]}}]}
        assert (await again.put("/collections/memories/points?wait=true", json=dropped)).status_code == 400
    revived.kill()


async def test_what_is_left_of_half_made_and_half_deleted_collections_is_removed(
    qdrant_edge: EdgeServer, http: httpx.AsyncClient
) -> None:
    (await http.put("/collections/doomed", json=SHAPE)).raise_for_status()
    qdrant_edge.kill()
    for record in (qdrant_edge.data / "collections").glob("*/collection.json"):
        if json.loads(record.read_text())["name"] == "doomed":
            record.unlink()
    unfinished = qdrant_edge.data / "collections" / "0123456789abcdef"
    (unfinished / "shard" / "wal").mkdir(parents=True)
    (unfinished / "collection.json.draft").write_text("{")

    revived = await EdgeServer(qdrant_edge.data).ready()
    async with httpx.AsyncClient(base_url=revived.url) as again:
        exists = [
            (await again.get(f"/collections/{name}/exists")).json()["result"]["exists"]
            for name in ("memories", "doomed")
        ]
        assert exists == [True, False]
        assert (await again.put("/collections/doomed", json=SHAPE)).is_success
    assert not unfinished.exists()
    revived.kill()


async def test_a_deleted_collection_leaves_no_files(qdrant_edge: EdgeServer, http: httpx.AsyncClient) -> None:
    assert (await http.delete("/collections/memories")).json()["result"] is True
    assert list((qdrant_edge.data / "collections").iterdir()) == []


async def test_a_termination_is_clean_and_loses_nothing(qdrant_edge: EdgeServer, http: httpx.AsyncClient) -> None:
    (await http.put("/collections/memories/points?wait=false", json=batch(0))).raise_for_status()
    status, output, errors = qdrant_edge.stop()
    assert (status, errors) == (0, "")
    assert output.splitlines() == [f"qdrant: ready on {qdrant_edge.url}, data in {qdrant_edge.data}"]

    revived = await EdgeServer(qdrant_edge.data).ready()
    async with httpx.AsyncClient(base_url=revived.url) as again:
        assert (await again.post("/collections/memories/points/count", json={})).json()["result"]["count"] == PER_BATCH
    revived.kill()


@pytest.mark.parametrize("taken", ["folder", "port"])
def test_a_server_that_cannot_start_says_why_in_one_line(qdrant_edge: EdgeServer, tmp_path: Path, taken: str) -> None:
    if taken == "folder":
        process, reason = run_edge(free_ports(), qdrant_edge.data), "is in use by another server"
    else:
        process, reason = run_edge(qdrant_edge.port, tmp_path / "other"), "Address already in use"
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (1, "")
    assert len(errors.splitlines()) == 1
    assert reason in errors


def test_the_command_explains_itself() -> None:
    command = [sys.executable, "-m", "memstream.local.qdrant", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(option in shown for option in ("--host", "--port", "--data", "--log-level"))


async def test_maintenance_flushes_and_optimizes_when_it_is_quiet(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.create("memories", SHAPE)
    collection = storage.get("memories")
    collection.write(*read_upsert(batch(0, MIN_CHANGED_POINTS), collection.schema))
    maintenance = Maintenance(storage, interval=timedelta(milliseconds=500))
    maintenance.start()

    async def is_done() -> bool:
        return collection.unflushed == collection.unoptimized == 0

    await until(is_done, "what was written is flushed and optimised")
    assert maintenance.stop(timedelta(seconds=PATIENCE))
    assert collection.read(lambda shard: shard.info()).points_count == MIN_CHANGED_POINTS
    storage.close()


async def test_reads_end_with_the_collection(http: httpx.AsyncClient) -> None:
    """A query is answered, or told that the collection is gone, whatever happens to the collection meanwhile."""
    (await http.put("/collections/memories/points?wait=true", json=batch(0))).raise_for_status()
    answers: set[int] = set()

    async def has_answers() -> bool:
        return bool(answers)

    async def query_until_gone() -> None:
        query = {"searches": [{"query": [1, 2, 3, 4], "using": "dense"}]}
        while 404 not in answers:
            answers.add((await http.post("/collections/memories/points/query/batch", json=query)).status_code)

    readers = [asyncio.create_task(query_until_gone()) for _ in range(4)]
    await until(has_answers, "queries are answered")
    (await http.delete("/collections/memories")).raise_for_status()
    await asyncio.gather(*readers)
    assert answers == {200, 404}


def segments(storage: Storage) -> tuple[int, int]:
    """Give the numbers of segments and of points of the collection."""
    info = storage.get("memories").read(lambda shard: shard.info())
    return info.segments_count, info.points_count


def test_no_graphs_are_built(tmp_path: Path) -> None:
    """Building one takes a segment that can be written to, and leaves another beside it."""
    storage = Storage(tmp_path)
    storage.create("memories", {**SHAPE, "hnsw_config": {"m": 0, "payload_m": 16}})
    collection = storage.get("memories")
    size = 1_000
    for start in range(0, 12 * size, size):
        collection.write(*read_upsert(wide_batch(start, size), collection.schema))
    collection.optimize()
    assert segments(storage) == (1, 12 * size)
    storage.close()


def test_a_collection_of_an_earlier_release_gets_the_settings_of_this_one(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.create("memories", SHAPE)
    collection = storage.get("memories")
    collection.write(*read_upsert(batch(0), collection.schema))
    collection.create_index("owner", "keyword")
    storage.close()
    settings = collection.directory / "shard" / "edge_config.json"
    made = json.loads(settings.read_text())
    assert made["optimizers"]["indexing_threshold"] == 0
    made["optimizers"]["indexing_threshold"] = None
    settings.write_text(json.dumps(made))

    storage = Storage(tmp_path)
    assert segments(storage) == (1, PER_BATCH)
    storage.close()
    assert json.loads(settings.read_text())["optimizers"]["indexing_threshold"] == 0


async def test_an_upsert_of_many_points_is_one_whatever_steps_it_takes(http: httpx.AsyncClient) -> None:
    body = batch(0, 2 * STEP + 1)
    again = {"id": 0, "vector": {"dense": [9, 9, 9, 9]}, "payload": {"owner": "ann"}}
    bad = {"points": [*body["points"], {**again, "vector": {"dense": [9]}}]}
    assert (await http.put("/collections/memories/points?wait=true", json=bad)).status_code == 400
    assert (await http.post("/collections/memories/points/count", json={})).json()["result"]["count"] == 0

    (
        await http.put("/collections/memories/points?wait=true", json={"points": [*body["points"], again]})
    ).raise_for_status()
    assert (await http.post("/collections/memories/points/count", json={})).json()["result"]["count"] == 2 * STEP + 1
    found = (await http.post("/collections/memories/points", json={"ids": [0], "with_vector": True})).json()["result"]
    assert found[0]["vector"]["dense"] == [9, 9, 9, 9]


def test_a_conditional_upsert_goes_in_steps_unless_an_id_comes_twice() -> None:
    schema = VectorSchema({"dense": 4}, sparse=frozenset({"bm25"}))
    points = batch(0, 2 * STEP + 1)["points"]
    condition = {"must_not": [{"key": "entry_ms", "range": {"gt": 1}}]}

    assert len(read_upsert({"points": points, "update_filter": condition}, schema)[0]) == 3
    assert len(read_upsert({"points": [*points, points[0]], "update_filter": condition}, schema)[0]) == 1


@pytest.mark.parametrize(("visits", "is_due"), [(1, False), (400, True)])
def test_the_space_of_deleted_points_is_reclaimed_after_a_wait_that_fits_the_work(visits: int, *, is_due: bool) -> None:
    """A million points take 50 seconds to rewrite; so nobody may have come for a thousand."""
    assert (SECONDS_PER_POINT * 1e6, is_idle_enough(1_000_000, timedelta(seconds=5) * visits)) == (50.0, is_due)
