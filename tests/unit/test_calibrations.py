"""Calibrations: what ships, and files that `memstream calibrate` writes."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memstream.retriever.ranking import (
    MODEL_SCORES,
    Calibration,
    CosineScale,
    calibration_of,
    read_calibrations,
    scale_of,
    shipped_calibration,
    shipped_spaces,
    write_calibrations,
    write_shipped,
)
from memstream.runtime.errors import ConfigurationError

KNOWN = "all-MiniLM-L6-v2_384_t1"
UNKNOWN = "never-heard-of_3_t1"

Content = dict[str, dict[str, Any]]
Change = Callable[[dict[str, Any]], object]


def content(change: Change) -> str:
    """Return a file with one space, in which something is changed."""
    shipped = shipped_calibration(KNOWN)
    models = {name: getattr(shipped, name) for name in MODEL_SCORES}
    space: dict[str, Any] = {
        name: {"order": dict(model.order), "relevance": dict(model.relevance)} for name, model in models.items()
    }
    space["scale"] = {"unrelated": 0.1, "answering": 0.5}
    change(space)
    return json.dumps({"a": space})


def written(folder: Path, text: str | None) -> Path:
    """Write a file, unless there is to be none."""
    file = folder / "calibrations.json"
    if text is not None:
        file.write_text(text)
    return file


def mine() -> Calibration:
    """Return a calibration that is not the shipped one."""
    shipped = shipped_calibration(KNOWN)
    return Calibration(shipped.both, shipped.dense, shipped.keyword, CosineScale(0.3, 0.9))


def test_a_space_that_nobody_has_measured_gets_the_default_and_says_so() -> None:
    assert calibration_of(UNKNOWN) == calibration_of(KNOWN)
    assert calibration_of(UNKNOWN).is_default
    assert not calibration_of(KNOWN).is_default


def test_what_ships_holds_for_every_space_that_its_scale_is_known_of() -> None:
    for name in shipped_spaces():
        calibration = calibration_of(name)
        assert not calibration.is_default
        assert calibration.scale == scale_of(name)
        assert calibration.both == calibration_of(KNOWN).both
    assert scale_of(UNKNOWN) == scale_of(KNOWN)


def test_a_written_calibration_is_read_again_and_is_no_default(tmp_path: Path) -> None:
    file = tmp_path / "calibrations.json"
    write_calibrations(file, {"mine_3_t1": mine()})

    assert read_calibrations(file) == {"mine_3_t1": mine()}
    assert calibration_of("mine_3_t1", file) == mine()
    assert not calibration_of("mine_3_t1", file).is_default
    assert calibration_of(KNOWN, file) == shipped_calibration(KNOWN)
    assert calibration_of(UNKNOWN, file).is_default


def test_what_is_written_to_ship_keeps_what_is_known_of_spaces(tmp_path: Path) -> None:
    file = tmp_path / "coefficients.json"
    write_shipped(file, mine())

    made = json.loads(file.read_text())
    assert tuple(made["scales"]) == shipped_spaces()
    assert made["models"]["keyword"]["order"] == mine().keyword.order


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "No such file"),
        ("no JSON", "the file: Invalid JSON"),
        ("[]", "the file: Input should be"),
        (content(lambda space: space.pop("scale")), r"a\.scale: Field required"),
        (content(lambda space: space.pop("dense")), r"a\.dense: Field required"),
        (content(lambda space: space.update(more={})), r"a\.more: Extra inputs are not permitted"),
        (content(lambda space: space["both"]["order"].pop("dense")), r"a: both\.order\.dense: it is missing; fit"),
        (
            content(lambda space: space["both"]["relevance"].pop("lead")),
            r"a: both\.relevance\.lead: it is missing; fit the coefficients again, or write 0 to leave it out",
        ),
        (content(lambda space: space["both"]["order"].update(tme=1.0)), r"a: both\.order\.tme: nothing .* this name"),
        (
            content(lambda space: space["keyword"]["order"].update(dense=1.0)),
            r"a: keyword\.order\.dense: nothing that the model is made of has this name",
        ),
        (content(lambda space: space["both"]["order"].update(time=math.inf)), r"a\.both\.order\.time: .* finite"),
        (content(lambda space: space["scale"].update(answering=math.nan)), r"a\.scale\.answering: .* finite"),
        (
            content(lambda space: space["scale"].update(answering=0.1)),
            r"a: scale\.answering: must be greater than scale\.unrelated",
        ),
        (
            content(lambda space: space["dense"]["relevance"].update(behind=0.0)),
            r"a: dense\.relevance\.behind: must be greater than 0",
        ),
    ],
)
def test_a_file_that_is_none_is_named_with_its_fault(tmp_path: Path, text: str | None, says: str) -> None:
    file = written(tmp_path, text)

    with pytest.raises(ConfigurationError, match=rf"calibrations\.json: {says}"):
        read_calibrations(file)
    with pytest.raises(ConfigurationError, match=r"set MEMSTREAM_RETRIEVER_CALIBRATIONS to .*, or leave it unset: "):
        calibration_of(KNOWN, file)


@pytest.mark.parametrize(
    "change",
    [
        lambda space: space.update({name: {"intercept": -6.0, "dense": 9.0} for name in MODEL_SCORES}),
        lambda space: space.pop("scale"),
    ],
)
def test_a_file_of_an_earlier_release_is_refused_with_what_to_do(tmp_path: Path, change: Change) -> None:
    file = written(tmp_path, content(change))

    with pytest.raises(ConfigurationError, match=r"of an earlier release.* new file with `memstream calibrate`"):
        read_calibrations(file)
