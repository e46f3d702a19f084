"""Calibrations that ship with the retriever, by the name of the embedding space's vector, and those of a file.

Fitted with the functions of `python benchmarks/quality --fit` in one round, to half of LoCoMo's questions, BEAM,
SciFact and a sixth of XQuAD's in English; docs/decisions/0010 says how.
"""

from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from memstream.retriever.relevance import Calibration, Linear
from memstream.runtime.errors import ConfigurationError

_MINILM = Calibration(
    both=Linear(
        -7.882,
        dense=4.378,
        keyword=0.093,
        neighbours=1.998,
        conversation=3.014,
        brevity=-2.129,
        speaker=0.723,
        not_own=-1.109,
        answers=1.012,
        phrases=0.101,
        coverage=1.886,
        time=1.371,
    ),
    dense=Linear(
        -7.953,
        dense=5.491,
        neighbours=2.179,
        conversation=3.458,
        brevity=-1.906,
        speaker=0.768,
        not_own=-1.26,
        answers=0.953,
        phrases=0.18,
        coverage=3.052,
        time=1.994,
    ),
    keyword=Linear(
        -6.645,
        keyword=0.164,
        neighbours=0.086,
        conversation=0.181,
        brevity=-2.018,
        speaker=0.626,
        not_own=-1.411,
        answers=1.077,
        phrases=0.161,
        coverage=1.693,
        time=0.772,
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
