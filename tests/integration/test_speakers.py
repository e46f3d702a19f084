"""Questions that name a speaker, on a running stack."""

from exchanges import ids_of, post, search
from running_stack import RunningStack

SAID = {
    "a": ("Ann", "I baked a rye bread for the fair."),
    "b": ("Bo", "I baked a rye bread for the fair."),
    "c": ("Ann", "The weather was dull all week."),
}


async def test_the_one_who_is_named_comes_first_and_the_name_does_not_count_for_the_meaning(
    stack: RunningStack,
) -> None:
    user = "one with speakers"
    # One after the other: which came first counts in the ranking where nothing else tells them apart.
    posted = [
        await post(stack.ingest, user, text, message_id=name, speaker=speaker, occurred_at="2025-05-01T10:00:00Z")
        for name, (speaker, text) in SAID.items()
    ]
    await search(stack.retriever, user, "x", wait_for=[one["position"] for one in posted])

    by_ann, by_bo, unnamed = [
        await search(stack.retriever, user, query)
        for query in ("What did Ann bake?", "What did Bo bake?", "What did bake?")
    ]

    assert ids_of(by_ann)[:2] == ["a", "b"]
    assert ids_of(by_bo)[:2] == ["b", "a"]
    assert by_ann["hits"][0]["signals"]["speaker"] == 1.0
    cosines = [
        {hit["message_id"]: hit["signals"]["dense"] for hit in answer["hits"]} for answer in (by_ann, by_bo, unnamed)
    ]
    assert cosines[0] == cosines[1] == cosines[2]
