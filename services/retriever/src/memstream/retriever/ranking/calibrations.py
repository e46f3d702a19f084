"""Calibrations that ship with the retriever, by the name of the embedding space's vector, and those of a file.

Fitted by `python -m benchmarks.quality --recordings FOLDER --fit FILE` to all questions of LoCoMo, BEAM, SciFact and
XQuAD in English that have an answer; docs/decisions/0010 and 0018 say how, docs/quality.md what that is worth to
others.
"""

from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from memstream.retriever.ranking.relevance import Calibration, Linear
from memstream.runtime.errors import ConfigurationError

_MINILM = Calibration(
    both=Linear(
        -7.876,
        dense=4.47,
        keyword=0.092,
        neighbours=1.511,
        conversation=3.429,
        brevity=-2.458,
        speaker=0.672,
        not_own=-1.626,
        answers=0.892,
        phrases=0.095,
        coverage=2.441,
        time=1.606,
        early=1.291,
    ),
    dense=Linear(
        -7.896,
        dense=5.681,
        neighbours=1.463,
        conversation=3.719,
        brevity=-2.403,
        speaker=0.695,
        not_own=-1.728,
        answers=0.807,
        phrases=0.173,
        coverage=3.452,
        time=2.225,
        early=1.212,
    ),
    keyword=Linear(
        -6.573,
        keyword=0.155,
        neighbours=0.06,
        conversation=0.193,
        brevity=-2.379,
        speaker=0.584,
        not_own=-1.855,
        answers=0.908,
        phrases=0.171,
        coverage=2.148,
        time=0.924,
        early=1.297,
    ),
)

_WORDLLAMA = Calibration(
    both=Linear(
        -7.447,
        dense=3.058,
        keyword=0.105,
        neighbours=0.837,
        conversation=3.044,
        brevity=-2.3,
        speaker=0.622,
        not_own=-1.475,
        answers=0.924,
        phrases=0.117,
        coverage=2.514,
        time=1.11,
        early=1.382,
    ),
    dense=Linear(
        -7.442,
        dense=4.356,
        neighbours=0.692,
        conversation=4.745,
        brevity=-2.369,
        speaker=0.65,
        not_own=-1.535,
        answers=0.819,
        phrases=0.183,
        coverage=3.729,
        time=1.749,
        early=1.383,
    ),
    keyword=Linear(
        -6.639,
        keyword=0.16,
        neighbours=0.053,
        conversation=0.192,
        brevity=-2.316,
        speaker=0.573,
        not_own=-1.812,
        answers=0.883,
        phrases=0.148,
        coverage=2.269,
        time=0.906,
        early=1.246,
    ),
)

CALIBRATIONS = {"all-MiniLM-L6-v2_384_t1": _MINILM, "wordllama-256_256_t1": _WORDLLAMA}

DEFAULT = _MINILM
"""For spaces nobody has calibrated, of OpenAI's models too: their order is right, their probabilities only as good as
the likeness. WordLlama's space is not much like this one; there their expected calibration error over all candidates
was 0.002 to 0.008 on the four sets."""

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
