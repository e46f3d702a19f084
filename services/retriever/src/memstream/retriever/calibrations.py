"""Calibrations that ship with the retriever, by the name of the embedding space's vector, and those of a file.

Fitted by `python benchmarks/quality --fit` on LoCoMo, BEAM, SciFact and XQuAD; docs/decisions/0010 says how.
"""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from memstream.retriever.relevance import Calibration, Linear
from memstream.runtime.errors import ConfigurationError

_MINILM = Calibration(
    both=Linear(
        -7.612,
        dense=3.406,
        keyword=0.076,
        neighbours=1.553,
        conversation=3.092,
        brevity=-2.384,
        speaker=0.582,
        first_person=0.952,
        answers=0.789,
        phrases=0.08,
        coverage=1.229,
        time=1.291,
    ),
    dense=Linear(
        -7.663,
        dense=4.357,
        neighbours=1.627,
        conversation=3.443,
        brevity=-2.018,
        speaker=0.604,
        first_person=1.043,
        answers=0.717,
        phrases=0.14,
        coverage=2.149,
        time=1.861,
    ),
    keyword=Linear(
        -6.633,
        keyword=0.127,
        neighbours=0.064,
        conversation=0.168,
        brevity=-2.362,
        speaker=0.514,
        first_person=1.192,
        answers=0.785,
        phrases=0.123,
        coverage=1.097,
        time=0.659,
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
