"""Calibrations by the name of their embedding space's vector: those that ship with the retriever, and those of a file.

`coefficients.json` was fitted by `python -m benchmarks.quality --recordings FOLDER --fit FILE` to all questions of
LoCoMo, BEAM, SciFact and XQuAD in English that have an answer; docs/decisions/0010 and 0018 say how, docs/quality.md
what that is worth to others.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from memstream.retriever.ranking.features import FEATURES, Feature, available
from memstream.retriever.ranking.models import INTERCEPT, MODEL_SCORES, Calibration, linear_model
from memstream.retriever.ranking.scores import Score
from memstream.runtime.errors import ConfigurationError

_SHIPPED = "coefficients.json"
_DEFAULT_SPACE = "all-MiniLM-L6-v2_384_t1"
"""Its calibration is used for spaces that have none, those of OpenAI's models too. There the order is right, but the
probabilities are only as good as the spaces are similar. WordLlama's is not very similar; with this calibration its
expected calibration error over all candidates was 0.002 to 0.008 on the four sets."""

_RENAMED = {"neighbours": "adjacent_turns"}
"""Names of features in files of earlier releases, and what they are called now."""


class _Models(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    both: dict[str, float]
    dense: dict[str, float]
    keyword: dict[str, float]


_FILE = TypeAdapter(dict[str, _Models])


def calibration_of(vector_name: str, file: Path | None = None, *, is_complete: bool = True) -> Calibration:
    """Return the calibration of a space: the file's, or the one that ships, or a default that says that it is one.

    If it need not be complete, features without a coefficient get 0: a fit starts from that.

    Raises:
        ConfigurationError: the file can't be used.

    """
    shipped = shipped_calibrations(is_complete=is_complete)
    calibration = shipped.get(vector_name) or replace(shipped[_DEFAULT_SPACE], is_default=True)
    if file is None:
        return calibration
    try:
        return read_calibrations(file, is_complete=is_complete).get(vector_name, calibration)
    except ConfigurationError as error:
        wanted = "set MEMSTREAM_RETRIEVER_CALIBRATIONS to a file that `memstream calibrate` wrote, or leave it unset"
        raise ConfigurationError(f"{wanted}: {error}") from error


def shipped_calibrations(features: Sequence[Feature] = FEATURES, *, is_complete: bool = True) -> dict[str, Calibration]:
    """Return the calibrations that ship with the retriever, by the name of their space's vector.

    If they need not be complete, features without a coefficient get 0.

    Raises:
        ConfigurationError: the coefficients are not those of the features.

    """
    content = files(__package__).joinpath(_SHIPPED).read_bytes()
    return _parse(content, f"the shipped {_SHIPPED}", features, is_complete=is_complete)


def read_calibrations(
    file: Path, features: Sequence[Feature] = FEATURES, *, is_complete: bool = True
) -> dict[str, Calibration]:
    """Return the calibrations of a file that `memstream calibrate` wrote, as `shipped_calibrations` does.

    Raises:
        ConfigurationError: the file can't be read, has another format, or its coefficients are not those of the
            features.

    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the calibrations {file}: {error.strerror}") from error
    return _parse(content, f"the calibrations {file}", features, is_complete=is_complete)


def write_calibrations(file: Path, calibrations: Mapping[str, Calibration]) -> None:
    """Write such a file."""
    content = {
        space: {name: getattr(calibration, name).as_dict() for name in MODEL_SCORES}
        for space, calibration in calibrations.items()
    }
    file.write_text(json.dumps(content, indent=1) + "\n")


def _parse(content: bytes, source: str, features: Sequence[Feature], *, is_complete: bool) -> dict[str, Calibration]:
    try:
        spaces = _FILE.validate_json(content)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise ConfigurationError(f"{source}: {place}: {fault['msg']}") from error
    calibrations = {}
    for space, models in spaces.items():
        made = {}
        for name, scores in MODEL_SCORES.items():
            values = {_RENAMED.get(key, key): value for key, value in getattr(models, name).items()}
            for fault_of, says in _faults(values, scores, features, is_complete=is_complete):
                raise ConfigurationError(f"{source}: {space}.{name}.{fault_of}: {says}")
            made[name] = linear_model(values, scores, features)
        calibrations[space] = Calibration(made["both"], made["dense"], made["keyword"])
    return calibrations


def _faults(
    values: Mapping[str, float], scores: Sequence[Score], features: Sequence[Feature], *, is_complete: bool
) -> Iterator[tuple[str, str]]:
    """Yield the coefficients that are wrong, and what is wrong with them."""
    known = {feature.name for feature in features}
    usable = [feature.name for feature in available(scores, features)]
    for name in (INTERCEPT, *(usable if is_complete else ())):
        if name not in values:
            yield name, "it is missing; fit the coefficients again, or write 0 to leave this feature out"
    for name, value in values.items():
        if name not in {INTERCEPT, *known}:
            yield name, "no ranking feature has this name"
        # Files of earlier releases list these too, as 0.
        if name in known and name not in usable and value != 0.0:
            yield name, "this feature is not computable from these scores"
