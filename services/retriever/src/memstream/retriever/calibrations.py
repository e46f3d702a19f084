"""Calibrations that ship with the retriever, by the name of the embedding space's vector, and those of a file.

Fitted by `python benchmarks/quality --fit` on LoCoMo, BEAM, SciFact and XQuAD; docs/decisions/0010 says how.
"""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from memstream.retriever.relevance import Calibration, Linear
from memstream.runtime.errors import ConfigurationError

_MINILM = Calibration(
    both=Linear(
        -7.658,
        dense=3.656,
        keyword=0.076,
        neighbours=1.527,
        conversation=2.699,
        brevity=-1.795,
        speaker=0.542,
        not_own=-0.977,
        answers=0.79,
        phrases=0.092,
        coverage=1.576,
        time=1.119,
    ),
    dense=Linear(
        -7.703,
        dense=4.562,
        neighbours=1.71,
        conversation=3.042,
        brevity=-1.583,
        speaker=0.567,
        not_own=-1.096,
        answers=0.731,
        phrases=0.154,
        coverage=2.522,
        time=1.684,
    ),
    keyword=Linear(
        -6.677,
        keyword=0.135,
        neighbours=0.07,
        conversation=0.159,
        brevity=-1.765,
        speaker=0.484,
        not_own=-1.244,
        answers=0.791,
        phrases=0.136,
        coverage=1.453,
        time=0.579,
    ),
)

CALIBRATIONS = {"all-MiniLM-L6-v2_384_t1": _MINILM}

DEFAULT = _MINILM
"""For spaces nobody has calibrated: their order is right, their probabilities are only as good as their likeness."""

_FILES = TypeAdapter(dict[str, Calibration])


def calibration_of(vector_name: str, file: Path | None = None) -> Calibration:
    """Give the calibration of a space: the file's, or the one that ships, or the default.

    Raises:
        ConfigurationError: the file can't be used.

    """
    return (read_calibrations(file) if file else {}).get(vector_name) or CALIBRATIONS.get(vector_name, DEFAULT)


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
