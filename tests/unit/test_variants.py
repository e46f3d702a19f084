"""Ways to keep vectors in Qdrant, and how much each finds."""

import re

import pytest

from benchmarks.variants import Variant, largest_error, proposed, read_variant, recall

NEAREST = {"a": 0.9, "b": 0.8}


@pytest.mark.parametrize(
    ("name", "variant"),
    [("none", Variant()), ("int8", Variant("int8")), ("binary+disk", Variant("binary", on_disk=True))],
)
def test_a_variant_is_named_as_it_is_read(name: str, variant: Variant) -> None:
    """The command line and the figures use the same names."""
    assert read_variant(name) == variant
    assert variant.name == name


@pytest.mark.parametrize("name", ["int4", "int8+ssd", "+disk"])
def test_what_is_no_variant_is_refused(name: str) -> None:
    """A wrong name is not taken for another variant."""
    with pytest.raises(ValueError, match=re.escape(name)):
        read_variant(name)


def test_a_collection_is_changed_to_all_that_a_variant_has() -> None:
    """The change names what it switches off as well, since another variant was there before."""
    assert Variant().changes("v") == {"vectors": {"v": {"on_disk": False}}, "quantization_config": "Disabled"}
    changed = Variant("int8", on_disk=True).changes("v")
    assert changed["vectors"] == {"v": {"on_disk": True}}
    assert changed["quantization_config"]["scalar"]["type"] == "int8"


def test_recall_counts_the_nearest_among_the_best() -> None:
    """What was found but ranked too low is proposed, and not among the best."""
    found = {"a": 0.91, "c": 0.85, "b": 0.79, "d": 0.1}
    assert recall(found, NEAREST) == 0.5
    assert proposed(found, NEAREST) == 1.0
    assert largest_error(found, NEAREST) == pytest.approx(0.01)
    assert proposed({"a": 0.9}, NEAREST) == 0.5
