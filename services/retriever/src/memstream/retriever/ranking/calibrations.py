"""Calibrations: the one that ships with the retriever for every embedding space, and those of a file.

`coefficients.json` was fitted by `python -m benchmarks.quality --recordings FOLDER --fit FILE` to all judged sets at
once; docs/decisions/0028 says how, docs/quality.md what that is worth to others. Its models hold for every space, once
it is known what cosines mean there: it lists that for the models of the local stack, and a retriever measures it for
others.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from memstream.retriever.ranking.features import FEATURES, Feature, available
from memstream.retriever.ranking.models import (
    BACKGROUND,
    BEHIND,
    CLUE_NAMES,
    INTERCEPT,
    MODEL_SCORES,
    Calibration,
    RankingModel,
)
from memstream.retriever.ranking.scores import CosineScale
from memstream.runtime.errors import ConfigurationError

_SHIPPED = "coefficients.json"
_DEFAULT_SPACE = "all-MiniLM-L6-v2_384_t1"
"""What its cosines mean is assumed of a space until that is measured."""

_ANOTHER_SHAPE = "; a file of an earlier release can't be used: fit a new file with `memstream calibrate`"

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Model(BaseModel):
    model_config = _STRICT

    order: dict[str, float]
    relevance: dict[str, float]


class _Models(BaseModel):
    model_config = _STRICT

    both: _Model
    dense: _Model
    keyword: _Model


class _Scale(BaseModel):
    model_config = _STRICT

    unrelated: float
    answering: float


class _Space(_Models):
    scale: _Scale


class _Shipped(BaseModel):
    model_config = _STRICT

    scales: dict[str, _Scale]
    models: _Models


_FILE = TypeAdapter(dict[str, _Space])


def calibration_of(vector_name: str, file: Path | None = None) -> Calibration:
    """Return the calibration of a space: the file's, or the one that ships.

    Raises:
        ConfigurationError: the file can't be used.

    """
    if file is None:
        return shipped_calibration(vector_name)
    try:
        return read_calibrations(file).get(vector_name) or shipped_calibration(vector_name)
    except ConfigurationError as error:
        wanted = "set MEMSTREAM_RETRIEVER_CALIBRATIONS to a file that `memstream calibrate` wrote, or leave it unset"
        raise ConfigurationError(f"{wanted}: {error}") from error


def shipped_calibration(vector_name: str, features: Sequence[Feature] = FEATURES) -> Calibration:
    """Return the calibration that ships with the retriever, for a space.

    Raises:
        ConfigurationError: the coefficients are not those of the features.

    """
    source = f"the shipped {_SHIPPED}"
    shipped = _shipped()
    scale = shipped.scales.get(vector_name)
    return _calibration(
        shipped.models, scale or shipped.scales[_DEFAULT_SPACE], source, features, is_default=scale is None
    )


def scale_of(vector_name: str) -> CosineScale:
    """Return what cosines mean in a space that the retriever ships that for; else what they mean in another one."""
    scales = _shipped().scales
    return CosineScale(**scales.get(vector_name, scales[_DEFAULT_SPACE]).model_dump())


def shipped_spaces() -> tuple[str, ...]:
    """Return the names of the spaces' vectors of which it ships with the retriever what cosines mean there."""
    return tuple(_shipped().scales)


def read_calibrations(file: Path, features: Sequence[Feature] = FEATURES) -> dict[str, Calibration]:
    """Return the calibrations of a file that `memstream calibrate` wrote, by the names of their spaces' vectors.

    Raises:
        ConfigurationError: the file can't be read, has another format, or its coefficients are not those of the
            features.

    """
    source = f"the calibrations {file}"
    try:
        spaces = _FILE.validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{source}: {error.strerror}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{source}: {_fault_of(error)}") from error
    return {name: _calibration(one, one.scale, f"{source}: {name}", features) for name, one in spaces.items()}


def write_calibrations(file: Path, calibrations: Mapping[str, Calibration]) -> None:
    """Write such a file."""
    content = {space: {"scale": _scale_as_dict(one.scale), **_as_dict(one)} for space, one in calibrations.items()}
    file.write_text(json.dumps(content, indent=1) + "\n")


def write_shipped(file: Path, calibration: Calibration) -> None:
    """Write a `coefficients.json` with the models of a calibration; what it ships of spaces stays."""
    scales = {name: scale.model_dump() for name, scale in _shipped().scales.items()}
    file.write_text(json.dumps({"scales": scales, "models": _as_dict(calibration)}, indent=1) + "\n")


def _shipped() -> _Shipped:
    return _Shipped.model_validate_json(files(__package__).joinpath(_SHIPPED).read_bytes())


def _as_dict(calibration: Calibration) -> dict[str, dict[str, Mapping[str, float]]]:
    models: dict[str, RankingModel] = {name: getattr(calibration, name) for name in MODEL_SCORES}
    return {name: {"order": one.order, "relevance": one.relevance} for name, one in models.items()}


def _scale_as_dict(scale: CosineScale) -> dict[str, float]:
    return {"unrelated": scale.unrelated, "answering": scale.answering}


def _calibration(
    models: _Models, scale: _Scale, source: str, features: Sequence[Feature], *, is_default: bool = False
) -> Calibration:
    if scale.answering <= scale.unrelated:
        raise ConfigurationError(f"{source}: scale.answering: must be greater than scale.unrelated")
    made = {}
    for name, scores in MODEL_SCORES.items():
        model: _Model = getattr(models, name)
        usable = available(scores, features)
        wanted = {"order": {one.name for one in usable}, "relevance": _RELEVANCE}
        for part, names in wanted.items():
            for wrong, says in _faults(getattr(model, part), names):
                raise ConfigurationError(f"{source}: {name}.{part}.{wrong}: {says}")
        made[name] = RankingModel(usable, model.order, model.relevance)
    return Calibration(**made, scale=CosineScale(**scale.model_dump()), is_default=is_default)


_RELEVANCE = {INTERCEPT, BEHIND, BACKGROUND, *CLUE_NAMES}


def _faults(values: Mapping[str, float], wanted: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the coefficients that are wrong, and what is wrong with them."""
    for name in sorted(wanted.difference(values)):
        yield name, "it is missing; fit the coefficients again, or write 0 to leave it out"
    for name in sorted(set(values).difference(wanted)):
        yield name, "nothing that the model is made of has this name"
    if values.get(BEHIND, 1.0) <= 0.0:
        yield BEHIND, "must be greater than 0: what is behind is less relevant"


def _fault_of(error: ValidationError) -> str:
    fault = error.errors()[0]
    place = ".".join(map(str, fault["loc"])) or "the file"
    of_another_shape = fault["type"] in {"missing", "extra_forbidden"}
    return f"{place}: {fault['msg']}{_ANOTHER_SHAPE if of_another_shape else ''}"
