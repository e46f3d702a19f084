"""Nobody can ask the store for messages without saying whose they are: the types don't allow it.

The functions without a test are never called. `make check` reads them: each `type: ignore` there is an error that has
to be one, since an ignore that is not needed fails the check.
"""

from datetime import UTC, datetime

import pytest
from qdrant_client import models

from memstream.contracts.keys import Position
from memstream.vectors.store import CandidateQuery, MemoryStore, Owner, owner_of
from memstream.vectors.store.qdrant.collection import Collection, Lookup
from memstream.vectors.store.qdrant.filters import OwnedFilter
from memstream.vectors.store.qdrant.scored_queries import Query, Score


def test_an_owner_is_a_tenants_user() -> None:
    owner = owner_of("acme", "ana")

    assert (owner.name, owner.is_shared) == ("acme/ana", False)
    assert owner == owner_of("acme", "ana")
    assert owner != owner_of("acme", "bob")
    assert owner.point_id("m", 0) != owner_of("acme", "bob").point_id("m", 0)


def test_the_documents_of_all_users_are_an_owner_of_their_own() -> None:
    assert owner_of("acme", "*").is_shared


@pytest.mark.parametrize("kind", [Owner, OwnedFilter])
def test_only_their_own_functions_make_owners_and_filters(kind: type) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind()


async def _a_name_is_no_owner(store: MemoryStore) -> None:
    await store.speakers("acme/ana")  # type: ignore[arg-type]
    await store.list_from("acme/ana", (), None, 10)  # type: ignore[arg-type]
    await store.delete_all("acme/ana", Position(0, "live", "7-0"))  # type: ignore[arg-type]
    await store.delete_messages("acme/ana", {"m": Position(0, "live", "7-0")})  # type: ignore[arg-type]
    await store.propose([CandidateQuery("acme/ana", None, "x", 10)])  # type: ignore[arg-type]


async def _there_is_no_question_without_an_owner(store: MemoryStore) -> None:
    await store.speakers()  # type: ignore[call-arg]
    await store.propose([CandidateQuery(vector=None, text="x", limit=10)])  # type: ignore[call-arg]
    await store.propose([CandidateQuery(None, None, "x", 10)])  # type: ignore[arg-type]


def _an_owner_is_made_in_one_place() -> None:
    Owner()  # type: ignore[abstract]
    OwnedFilter()  # type: ignore[abstract]


async def _a_filter_of_anybody_reads_and_deletes_nothing(collection: Collection) -> None:
    everything = models.Filter()
    await collection.delete(everything)  # type: ignore[arg-type]
    await collection.facet("speaker", everything, 10)  # type: ignore[arg-type]
    await collection.scroll(Lookup(everything, 10, "occurred_at", datetime.now(UTC)))  # type: ignore[arg-type] # noqa: TID251
    await collection.query([Query(Score({}, "bm25"), everything, 10)])  # type: ignore[arg-type]
    await collection.query([Query(Score({}, "bm25", corpus=everything), everything, 10)])  # type: ignore[arg-type]
