"""Settings from the environment; a process with wrong settings ends with one line."""

import sys
from datetime import timedelta
from typing import Annotated, NoReturn, TypeVar

from pydantic import BeforeValidator, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from memstream.runtime.errors import ConfigurationError

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def _seconds(value: object) -> object:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
"""A duration: seconds as a number (`0.5`), or ISO 8601 (`PT0.5S`)."""

EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h."""


def load_settings(kind: type[SettingsT]) -> SettingsT:
    """Return the settings of a service, read from its environment.

    Raises:
        ConfigurationError: some are missing or invalid; the text names each variable.

    """
    prefix = str(kind.model_config.get("env_prefix", ""))
    try:
        return kind()
    except ValidationError as error:
        raise ConfigurationError("set " + "; ".join(_fault(prefix, fault) for fault in error.errors())) from None


def _fault(prefix: str, fault: ErrorDetails) -> str:
    message = fault["msg"].removeprefix("Value error, ")
    # A number is the place in a list, which one variable holds as a whole.
    name = "_".join(part for part in fault["loc"] if isinstance(part, str))
    return f"{prefix}{name}".upper() + f": {message}" if name else message


def stop_with(error: Exception, status: int = EXIT_CONFIGURATION) -> NoReturn:
    """End the process with one line on stderr."""
    sys.stderr.write(f"{error}\n")
    sys.exit(status)
