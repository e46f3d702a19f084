"""Collections and points: writes have the same effect in every backend."""

import asyncio
import threading
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from contract.qdrant_backends import Backend
from contract.qdrant_sample import COMMON, EAST, IDS, create, dense, fill, payload, point, scores, vectors
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

ANN = models.Filter(must=[models.FieldCondition(key="owner", match=models.MatchValue(value="ann"))])
UUID = "5c56c793-69f3-4fbf-87e6-c4bf54c28c26"

WRONG = (UnexpectedResponse, ValueError, KeyError)
"""What a wrong request raises: over HTTP the first, from the in-memory reference one of the others."""


@pytest_asyncio.fixture
async def filled(qdrant_backend: Backend, qdrant_name: str) -> AsyncIterator[Backend]:
    """Fill a collection of this test's own."""
    await fill(qdrant_backend, qdrant_name)
    yield qdrant_backend
    await qdrant_backend.client.delete_collection(qdrant_name)


async def all_ids(client: AsyncQdrantClient, name: str) -> list[models.ExtendedPointId]:
    points, _ = await client.scroll(name, limit=100)
    return [each.id for each in points]


async def one(client: AsyncQdrantClient, name: str, number: models.ExtendedPointId) -> models.Record:
    (record,) = await client.retrieve(name, [number], with_vectors=True)
    return record


async def query(
    client: AsyncQdrantClient,
    name: str,
    **asked: Any,  # noqa: ANN401 - what a query takes
) -> list[models.ScoredPoint]:
    """Return the answer to a query, which goes as a batch of one."""
    (answer,) = await client.query_batch_points(name, [models.QueryRequest(**asked)])
    return answer.points


async def test_a_collection_exists_from_creation_to_deletion(qdrant_backend: Backend, qdrant_name: str) -> None:
    client = qdrant_backend.client
    assert not await client.collection_exists(qdrant_name)
    await create(qdrant_backend, qdrant_name)
    assert await client.collection_exists(qdrant_name)
    with pytest.raises(WRONG):
        await create(qdrant_backend, qdrant_name)
    assert await client.delete_collection(qdrant_name)
    assert not await client.collection_exists(qdrant_name)
    with pytest.raises(WRONG):
        await client.get_collection(qdrant_name)


async def test_a_collection_describes_itself(filled: Backend, qdrant_name: str) -> None:
    info = await filled.client.get_collection(qdrant_name)
    assert (info.status, info.points_count) == (models.CollectionStatus.GREEN, 8)
    vectors = info.config.params.vectors
    assert isinstance(vectors, dict)
    assert (vectors["dense"].size, vectors["dense"].distance) == (2, models.Distance.COSINE)
    assert set(info.config.params.sparse_vectors or {}) == {"terms"}


async def test_payload_indexes_are_described(filled: Backend, qdrant_name: str) -> None:
    if filled.is_reference:
        pytest.skip("the in-memory reference has no payload indexes")
    client = filled.client
    await client.create_payload_index(
        qdrant_name, "owner", models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True), wait=True
    )
    schema = (await client.get_collection(qdrant_name)).payload_schema
    assert schema["owner"].data_type == models.PayloadSchemaType.KEYWORD
    assert isinstance(schema["owner"].params, models.KeywordIndexParams)
    assert schema["owner"].params.is_tenant is True


async def test_an_upsert_replaces_the_whole_point(filled: Backend, qdrant_name: str) -> None:
    replaced = models.PointStruct(id=1, vector={"dense": [0.0, 2.0]}, payload={"new": True})
    result = await filled.client.upsert(qdrant_name, [replaced], wait=True)
    assert result.status == models.UpdateStatus.COMPLETED
    record = await one(filled.client, qdrant_name, 1)
    assert record.payload == {"new": True}
    assert vectors(record.vector) == {"dense": pytest.approx([0.0, 1.0])}
    assert (await filled.client.count(qdrant_name)).count == 8


async def test_without_waiting_a_write_is_only_acknowledged(filled: Backend, qdrant_name: str) -> None:
    if filled.is_reference:
        pytest.skip("the in-memory reference always waits")
    result = await filled.client.upsert(qdrant_name, [point(1)], wait=False)
    assert result.status == models.UpdateStatus.ACKNOWLEDGED


async def test_ids_are_integers_or_canonical_uuids(filled: Backend, qdrant_name: str) -> None:
    spelled = UUID if filled.is_reference else UUID.upper()  # the in-memory reference keeps ids as they were spelled
    await filled.client.upsert(
        qdrant_name, [models.PointStruct(id=spelled, vector={"dense": EAST}, payload={})], wait=True
    )
    assert (await one(filled.client, qdrant_name, UUID)).id == UUID
    assert set(await all_ids(filled.client, qdrant_name)) == {*IDS, UUID}


async def test_points_are_deleted_by_id_and_by_filter(filled: Backend, qdrant_name: str) -> None:
    await filled.client.delete(qdrant_name, [2, 99], wait=True)
    assert await all_ids(filled.client, qdrant_name) == [1, 3, 4, 5, 6, 7, 8]
    await filled.client.delete(qdrant_name, models.FilterSelector(filter=ANN), wait=True)
    assert await all_ids(filled.client, qdrant_name) == [4, 6, 8]


async def test_payload_is_set_by_id_and_keeps_its_other_keys(filled: Backend, qdrant_name: str) -> None:
    client = filled.client
    await client.set_payload(qdrant_name, {"owner": "eve", "extra": 1}, [1], wait=True)
    assert (await one(client, qdrant_name, 1)).payload == {**payload(1), "owner": "eve", "extra": 1}


async def test_payload_can_be_set_by_filter(filled: Backend, qdrant_name: str) -> None:
    await filled.client.set_payload(qdrant_name, {"seen": True}, models.FilterSelector(filter=ANN), wait=True)
    seen = models.Filter(must=[models.FieldCondition(key="seen", match=models.MatchValue(value=True))])
    assert (await filled.client.count(qdrant_name, count_filter=seen)).count == 4


async def test_vectors_are_updated_by_name(filled: Backend, qdrant_name: str) -> None:
    client = filled.client
    await client.update_vectors(qdrant_name, [models.PointVectors(id=8, vector={"dense": EAST})], wait=True)
    assert (await query(client, qdrant_name, query=EAST, using="dense", limit=1))[0].id == 8
    assert (await query(client, qdrant_name, query=COMMON, using="terms", limit=1))[0].id == 8


async def test_a_vector_can_be_added_to_a_collection_that_has_points(filled: Backend, qdrant_name: str) -> None:
    client = filled.client
    config = models.DenseVectorConfig(size=3, distance=models.Distance.DOT)
    await client.create_vector_name(qdrant_name, "next", models.DenseVectorNameConfig(dense=config), wait=True)
    await client.update_vectors(qdrant_name, [models.PointVectors(id=5, vector={"next": [1.0, 2.0, 3.0]})], wait=True)
    found = await query(client, qdrant_name, query=[0.0, 0.0, 1.0], using="next")
    assert scores(found) == {5: pytest.approx(3.0)}
    with_next = models.Filter(must=[models.HasVectorCondition(has_vector="next")])
    assert (await client.count(qdrant_name, count_filter=with_next)).count == 1
    await client.delete_vector_name(qdrant_name, "next", wait=True)
    with pytest.raises(WRONG):
        await query(client, qdrant_name, query=[0.0, 0.0, 1.0], using="next")
    assert vectors((await one(client, qdrant_name, 5)).vector).keys() == {"dense", "terms"}


async def test_an_upsert_can_be_conditional(filled: Backend, qdrant_name: str) -> None:
    newer = models.PointStruct(id=1, vector={"dense": EAST}, payload={"number": 100})
    absent = models.Filter(must=[models.FieldCondition(key="number", match=models.MatchValue(value=50))])
    await filled.client.upsert(qdrant_name, [newer], update_filter=absent, wait=True)
    assert (await one(filled.client, qdrant_name, 1)).payload == payload(1)
    await filled.client.upsert(qdrant_name, [newer], update_filter=ANN, wait=True)
    assert (await one(filled.client, qdrant_name, 1)).payload == {"number": 100}


@pytest.mark.parametrize(
    ("mode", "condition", "changed"),
    [
        (models.UpdateMode.UPSERT, None, {1, 2, 50}),
        (models.UpdateMode.UPSERT, ANN, {1, 50}),
        (models.UpdateMode.INSERT_ONLY, None, {50}),
        (models.UpdateMode.INSERT_ONLY, ANN, {50}),
        (models.UpdateMode.UPDATE_ONLY, None, {1, 2}),
        (models.UpdateMode.UPDATE_ONLY, ANN, {1}),
    ],
)
async def test_an_upsert_may_only_insert_or_only_update(
    filled: Backend, qdrant_name: str, mode: models.UpdateMode, condition: models.Filter | None, changed: set[int]
) -> None:
    points = [models.PointStruct(id=number, vector={"dense": EAST}, payload={"new": True}) for number in (1, 2, 50)]
    await filled.client.upsert(qdrant_name, points, update_filter=condition, update_mode=mode, wait=True)
    found = await filled.client.retrieve(qdrant_name, [1, 2, 50])
    assert {each.id for each in found if each.payload == {"new": True}} == changed


async def test_a_point_may_have_no_vectors_and_is_then_found_by_no_search(filled: Backend, qdrant_name: str) -> None:
    if filled.is_reference:
        pytest.skip("the in-memory reference gives a point without a vector a score")
    empty = models.PointStruct(id=50, vector={}, payload={"owner": "ann"})
    await filled.client.upsert(qdrant_name, [empty], update_mode=models.UpdateMode.INSERT_ONLY, wait=True)
    assert (await one(filled.client, qdrant_name, 50)).payload == {"owner": "ann"}
    for asked, using in ((EAST, "dense"), (COMMON, "terms")):
        found = await query(filled.client, qdrant_name, query=asked, using=using, limit=100)
        assert {each.id for each in found} == set(IDS)
    whole = models.PointStruct(id=50, vector={"dense": EAST}, payload={"owner": "bob"})
    await filled.client.upsert(qdrant_name, [whole], update_mode=models.UpdateMode.UPDATE_ONLY, wait=True)
    found = await query(filled.client, qdrant_name, query=EAST, using="dense", limit=1)
    assert [each.id for each in found] == [50]
    assert await all_ids(filled.client, qdrant_name) == [*IDS, 50]


async def test_a_batch_of_writes_is_applied_in_order(filled: Backend, qdrant_name: str) -> None:
    has_id = models.Filter(must=[models.HasIdCondition(has_id=[1, 2, 50])])
    anns = models.Filter(must=[*(has_id.must or []), *(ANN.must or [])])
    inserted = [models.PointStruct(id=number, vector={"dense": EAST}, payload={"token": "b"}) for number in (2, 50)]
    results = await filled.client.batch_update_points(
        qdrant_name,
        [
            models.SetPayloadOperation(set_payload=models.SetPayload(payload={"token": "a"}, filter=has_id)),
            models.UpsertOperation(
                upsert=models.PointsList(points=inserted, update_mode=models.UpdateMode.INSERT_ONLY)
            ),
            models.DeleteOperation(delete=models.FilterSelector(filter=anns)),
            models.DeleteOperation(delete=models.PointIdsList(points=[3])),
        ],
        wait=True,
    )
    if not filled.is_reference:
        assert [each.status for each in results] == [models.UpdateStatus.COMPLETED] * 4
    token = models.PayloadSelectorInclude(include=["token"])
    found = await filled.client.retrieve(qdrant_name, [1, 2, 3, 50], with_payload=token)
    assert {each.id: each.payload for each in found} == {2: {"token": "a"}, 50: {"token": "b"}}


async def test_scrolling_pages_through_all_points(filled: Backend, qdrant_name: str) -> None:
    first, following = await filled.client.scroll(qdrant_name, limit=3, with_payload=False, with_vectors=["dense"])
    assert ([each.id for each in first], following) == ([1, 2, 3], 4)
    assert first[0].payload is None
    assert vectors(first[0].vector) == {"dense": pytest.approx(dense(1), abs=1e-5)}
    rest, end = await filled.client.scroll(qdrant_name, limit=10, offset=following)
    assert ([each.id for each in rest], end) == ([4, 5, 6, 7, 8], None)


async def test_scrolling_can_follow_a_payload_field(filled: Backend, qdrant_name: str) -> None:
    order = models.OrderBy(key="at", direction=models.Direction.DESC, start_from=datetime(2024, 1, 5, 12, tzinfo=UTC))
    points, following = await filled.client.scroll(qdrant_name, limit=2, order_by=order, scroll_filter=ANN)
    assert ([each.id for each in points], following) == ([5, 3], None)


async def test_retrieving_leaves_out_what_is_not_there(filled: Backend, qdrant_name: str) -> None:
    records = await filled.client.retrieve(qdrant_name, [3, 99, 1], with_payload=False)
    assert [(each.id, each.payload) for each in records] == [(3, None), (1, None)]


async def test_counting_can_be_filtered(filled: Backend, qdrant_name: str) -> None:
    assert (await filled.client.count(qdrant_name)).count == 8
    assert (await filled.client.count(qdrant_name, count_filter=ANN, exact=False)).count == 4


async def test_wrong_vectors_are_refused_and_change_nothing(filled: Backend, qdrant_name: str) -> None:
    wrong: list[dict[str, models.Vector]] = [{"dense": [1.0]}, {"nowhere": EAST}]
    for vector in wrong:
        with pytest.raises(WRONG):
            await filled.client.upsert(qdrant_name, [models.PointStruct(id=50, vector=vector, payload={})], wait=True)
    with pytest.raises(WRONG):
        await query(filled.client, qdrant_name, query=[1.0, 2.0, 3.0], using="dense")
    with pytest.raises(WRONG):
        await query(filled.client, qdrant_name, query=EAST, using="nowhere")
    if not filled.is_reference:  # which keeps a point whose vector it refused
        assert await all_ids(filled.client, qdrant_name) == IDS


async def test_texts_become_bm25_vectors_on_the_server(qdrant_backend: Backend, qdrant_name: str) -> None:
    if qdrant_backend.is_reference:
        pytest.skip("the in-memory reference needs fastembed, and a download, for texts")
    client = qdrant_backend.client
    await client.create_collection(
        qdrant_name, sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)}
    )

    def document(text: str) -> models.Document:
        options = models.Bm25Config(language="english", avg_len=5.0)
        return models.Document(text=text, model="qdrant/bm25", options=options)

    texts = {1: "the dogs were running", 2: "a cat sleeps", 3: "one dog and the cats"}
    points = [models.PointStruct(id=each, vector={"bm25": document(text)}, payload={}) for each, text in texts.items()]
    await client.upsert(qdrant_name, points, wait=True)
    found = await query(client, qdrant_name, query=document("running dog"), using="bm25")
    assert [each.id for each in found] == [1, 3]
    assert found[0].score > found[1].score > 0
    await client.delete_collection(qdrant_name)


DOCUMENTS = {
    "english": ("she was running to the bookshops", "run bookshop"),
    "german": ("die Schlüssel der Katzen", "Schlussel Katze"),
    "spanish": ("las canciones de los niños", "cancion nino"),
    "french": ("nous avons mangé les crêpes", "manger crepe"),
    "portuguese": ("as canções dos meninos", "cancoes menino"),
    "italian": ("le ragazze mangiavano", "ragazza mangiavamo"),
    "dutch": ("de sleutels en lampen", "sleutel lamp"),
    "swedish": ("nycklarna i bilarna", "nycklar bilar"),
    "danish": ("husene og nøglerne", "huset nogler"),
    "norwegian": ("husene ved sjøene", "huset sjoen"),
    "finnish": ("talossa oli kissat", "talosta kissan"),
    "turkish": ("evlerde kediler vardi", "evler kedi"),
    "romanian": ("fetele din casele mari", "fete case"),
    "hungarian": ("a házakban a kutyák", "hazak kutya"),
    "russian": ("запасные ключи лежали дома", "запасной ключ"),
    "arabic": ("المفاتيح في الكتاب", "مفاتيح كتاب"),
    "greek": ("τα κλειδια στα σπιτια", "κλειδι σπιτι"),
}
"""By the names that a server takes: a text, and other forms of some of its words."""


@pytest.mark.parametrize("language", DOCUMENTS)
async def test_texts_are_stemmed_in_a_language_that_is_named_and_without_accents(
    qdrant_backend: Backend, qdrant_name: str, language: str
) -> None:
    if qdrant_backend.is_reference:
        pytest.skip("the in-memory reference needs fastembed, and a download, for texts")
    client = qdrant_backend.client
    await client.create_collection(qdrant_name, sparse_vectors_config={"bm25": models.SparseVectorParams()})
    options = models.Bm25Config(language=language, avg_len=5.0, ascii_folding=True)
    text, question = DOCUMENTS[language]
    stored = models.Document(text=text, model="qdrant/bm25", options=options)
    await client.upsert(qdrant_name, [models.PointStruct(id=1, vector={"bm25": stored}, payload={})], wait=True)
    for word in question.split():
        asked = models.Document(text=word, model="qdrant/bm25", options=options)
        assert len(await query(client, qdrant_name, query=asked, using="bm25")) == 1, word
    await client.delete_collection(qdrant_name)


async def test_a_stemmer_leaves_other_scripts_and_numbers_as_they_are(
    qdrant_backend: Backend, qdrant_name: str
) -> None:
    if qdrant_backend.is_reference:
        pytest.skip("the in-memory reference needs fastembed, and a download, for texts")
    client = qdrant_backend.client
    await client.create_collection(qdrant_name, sparse_vectors_config={"bm25": models.SparseVectorParams()})
    text = "芒果 果湖 비밀 वाईफाई 4471 ключами"

    def document(text: str, **options: Any) -> models.Document:  # noqa: ANN401 - options of BM25
        return models.Document(text=text, model="qdrant/bm25", options=models.Bm25Config(avg_len=5.0, **options))

    points = [models.PointStruct(id=1, vector={"bm25": document(text, language="english")}, payload={})]
    await client.upsert(qdrant_name, points, wait=True)
    for word in text.split():
        for language in ("english", "german"):
            asked = document(word, language=language)
            assert len(await query(client, qdrant_name, query=asked, using="bm25")) == 1, (word, language)
    await client.delete_collection(qdrant_name)


async def test_the_multilingual_tokenizer_segments_words_and_leaves_out_numbers(
    qdrant_backend: Backend, qdrant_name: str
) -> None:
    """That is why texts are segmented before they are sent."""
    if qdrant_backend.is_reference:
        pytest.skip("the in-memory reference needs fastembed, and a download, for texts")
    client = qdrant_backend.client
    await client.create_collection(qdrant_name, sparse_vectors_config={"bm25": models.SparseVectorParams()})
    text = "无线网络密码是 4471"

    def document(text: str, tokenizer: models.TokenizerType) -> models.Document:
        return models.Document(text=text, model="qdrant/bm25", options=models.Bm25Config(tokenizer=tokenizer))

    found = {}
    for tokenizer in (models.TokenizerType.WORD, models.TokenizerType.WHITESPACE, models.TokenizerType.MULTILINGUAL):
        stored = models.PointStruct(id=1, vector={"bm25": document(text, tokenizer)}, payload={})
        await client.upsert(qdrant_name, [stored], wait=True)
        found[tokenizer.value] = [
            word
            for word in ("密码", "4471")
            if await query(client, qdrant_name, query=document(word, tokenizer), using="bm25")
        ]
    assert found == {"word": ["4471"], "whitespace": ["4471"], "multilingual": ["密码"]}
    await client.delete_collection(qdrant_name)


async def test_rare_terms_weigh_more_with_idf(qdrant_backend: Backend, qdrant_name: str) -> None:
    """Seen in the whole collection, index 7 is as common as 9; seen among Ann's points alone it is rarer."""
    client = qdrant_backend.client
    idf = models.SparseVectorParams(modifier=models.Modifier.IDF)
    await client.create_collection(qdrant_name, sparse_vectors_config={"terms": idf})
    await qdrant_backend.index(qdrant_name, "owner", models.PayloadSchemaType.KEYWORD)
    contents = {1: ("ann", 7), 2: ("ann", 9), 3: ("ann", 9), 4: ("bob", 7), 5: ("bob", 8)}
    await client.upsert(
        qdrant_name,
        [
            models.PointStruct(
                id=each, vector={"terms": models.SparseVector(indices=[term], values=[1.0])}, payload={"owner": owner}
            )
            for each, (owner, term) in contents.items()
        ],
        wait=True,
    )
    terms = models.SparseVector(indices=[7, 9], values=[1.0, 1.0])
    everywhere = await query(client, qdrant_name, query=terms, using="terms", filter=ANN)
    assert len({round(each.score, 5) for each in everywhere}) == 1
    corpus = models.SearchParams(idf=models.IdfCorpusParams(corpus=ANN))
    among = await query(client, qdrant_name, query=terms, using="terms", filter=ANN, params=corpus)
    assert among[0].id == 1
    assert among[0].score > among[1].score
    await client.delete_collection(qdrant_name)


async def test_the_client_finds_the_server_compatible(qdrant_backend: Backend) -> None:
    if qdrant_backend.is_reference:
        pytest.skip("the in-memory reference has no version")
    url = qdrant_backend.url
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        client = AsyncQdrantClient(url=url, check_compatibility=True)
        # It looks in a thread, which may still be at it when the server is gone.
        for thread in [one for one in threading.enumerate() if "_check_compatibility" in one.name]:
            await asyncio.to_thread(thread.join)
        await client.info()
        await client.close()
    assert [each for each in seen if "ompatib" in str(each.message)] == []
