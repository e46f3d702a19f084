"""Calibrations that ship with the retriever, by the name of the embedding space's vector, and those of a file.

Fitted by `python -m benchmarks.quality --recordings FOLDER --fit FILE` to all questions of LoCoMo, BEAM, SciFact and
XQuAD in English that have an answer; docs/decisions/0010 and 0018 say how, docs/quality.md what that is worth to
others.
"""

from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from memstream.retriever.relevance import Calibration, Linear
from memstream.runtime.errors import ConfigurationError

_MINILM = Calibration(
    both=Linear(
        -8.075,
        dense=4.285,
        keyword=0.082,
        neighbours=1.453,
        conversation=3.294,
        brevity=-2.351,
        speaker=0.64,
        not_own=-1.545,
        answers=0.844,
        phrases=0.088,
        coverage=2.353,
        time=1.569,
        early=1.239,
    ),
    dense=Linear(
        -8.101,
        dense=5.506,
        neighbours=1.396,
        conversation=3.616,
        brevity=-2.322,
        speaker=0.673,
        not_own=-1.673,
        answers=0.773,
        phrases=0.168,
        coverage=3.341,
        time=2.154,
        early=1.176,
    ),
    keyword=Linear(
        -6.571,
        keyword=0.155,
        neighbours=0.06,
        conversation=0.193,
        brevity=-2.374,
        speaker=0.583,
        not_own=-1.855,
        answers=0.889,
        phrases=0.172,
        coverage=2.146,
        time=0.925,
        early=1.298,
    ),
)

CALIBRATIONS = {"all-MiniLM-L6-v2_384_t1": _MINILM}

DEFAULT = _MINILM
"""For spaces nobody has calibrated: their order is right, their probabilities are only as good as their likeness."""

_FILES = TypeAdapter(dict[str, Calibration], config=ConfigDict(extra="forbid", allow_inf_nan=False))


def calibration_of(vector_name: str, file: Path | None = None) -> Calibration:
    """Give the calibration of a space: the file's, or the one that ships, or the default.

    Raises:
        ConfigurationError: the file can't be used.

    """
    shipped = CALIBRATIONS.get(vector_name, DEFAULT)
    if file is None:
        return shipped
    try:
        return read_calibrations(file).get(vector_name, shipped)
    except ConfigurationError as error:
        wanted = "set MEMSTREAM_RETRIEVER_CALIBRATIONS to a file that `memstream calibrate` wrote, or leave it unset"
        raise ConfigurationError(f"{wanted}: {error}") from error


def read_calibrations(file: Path) -> dict[str, Calibration]:
    """Read a file that `memstream calibrate` wrote: calibrations by the name of their space's vector.

    Raises:
        ConfigurationError: it can't be read, or it is none.

    """
    try:
        return _FILES.validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"the calibrations {file}: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise ConfigurationError(f"the calibrations {file}: {place}: {fault['msg']}") from error


def write_calibrations(file: Path, calibrations: dict[str, Calibration]) -> None:
    """Write such a file."""
    file.write_bytes(_FILES.dump_json(calibrations, indent=1) + b"\n")
