"""Where the services are, and with which key to call them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from pydantic import ValidationError

from memstream.client._errors import MemstreamClientError
from memstream.client._memory import Memstream
from memstream.client._operator import Operator
from memstream.client._retries import Retries
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import invocation_of
from memstream.contracts.stack import Stack

DEFAULT_HOME = Path(".memstream")

_ADMIN_VARIABLES = ("MEMSTREAM_INGEST_URL", "MEMSTREAM_ADMIN_KEY")
_VARIABLES = ("MEMSTREAM_INGEST_URL", "MEMSTREAM_RETRIEVER_URL", "MEMSTREAM_API_KEY")


@dataclass(frozen=True, slots=True)
class Services:
    """Two URLs and a key; and the embedded stack they are of, if they are of one."""

    ingest_url: str
    retriever_url: str
    api_key: str
    stack: Stack | None = None

    def memory(
        self, retries: Retries, *, on_wait: Callable[[MemstreamClientError, float], None] | None = None
    ) -> Memstream:
        """Make a client of them."""
        return Memstream(
            ingest_url=self.ingest_url,
            retriever_url=self.retriever_url,
            api_key=self.api_key,
            retries=retries,
            on_wait=on_wait,
        )


@dataclass(frozen=True, slots=True)
class Operations:
    """What an operator needs: where ingest is, and a key."""

    ingest_url: str
    admin_key: str

    def operator(
        self, retries: Retries, *, on_wait: Callable[[MemstreamClientError, float], None] | None = None
    ) -> Operator:
        """Make a client."""
        return Operator(ingest_url=self.ingest_url, admin_key=self.admin_key, retries=retries, on_wait=on_wait)


def services_for(context: typer.Context, home: Path | None) -> Services:
    """Find the services for a command; `home` is what its own `--home` says.

    Raises:
        Failure: there are none.

    """
    called = invocation_of(context)
    return find_services(called.environment, home or called.home)


def find_services(environment: Mapping[str, str], home: Path | None, default_home: Path = DEFAULT_HOME) -> Services:
    """Find the services: `home` first, then the environment, then the default home.

    The environment counts as a whole: a key of one installation is never sent to the URL of another.

    Raises:
        Failure: there are none; the text says what to do.

    """
    values = None if home is not None else _values(environment, _VARIABLES)
    if values is not None:
        ingest_url, retriever_url, api_key = values
        return Services(ingest_url, retriever_url, api_key)
    stack = _stack(home, default_home, _VARIABLES)
    return Services(stack.ingest_url, stack.retriever_url, stack.api_key, stack)


def operations_for(context: typer.Context, home: Path | None) -> Operations:
    """Find what an operator's command needs; `home` is what its own `--home` says.

    Raises:
        Failure: it is not there.

    """
    called = invocation_of(context)
    return find_operations(called.environment, home or called.home)


def find_operations(environment: Mapping[str, str], home: Path | None, default_home: Path = DEFAULT_HOME) -> Operations:
    """Find ingest and the admin key, in the order of `find_services`.

    Raises:
        Failure: they are not there; the text says what to do.

    """
    values = None if home is not None else _values(environment, _ADMIN_VARIABLES)
    if values is not None:
        ingest_url, admin_key = values
        return Operations(ingest_url, admin_key)
    stack = _stack(home, default_home, _ADMIN_VARIABLES)
    return Operations(stack.ingest_url, stack.admin_key)


def _values(environment: Mapping[str, str], names: Sequence[str]) -> list[str] | None:
    """Give the values of all of these variables; None if none of them is set."""
    values = {name: environment.get(name, "").strip() for name in names}
    if not any(values.values()):
        return None
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise Failure(f"{' and '.join(missing)} not set: set all of {', '.join(names)}, or give --home")
    return list(values.values())


def _stack(home: Path | None, default_home: Path, names: Sequence[str]) -> Stack:
    found = _stack_in(home or default_home)
    if found is not None:
        return found
    if home is not None:
        raise Failure(f"no stack is running in {home}: start one with `memstream up --home {home}`")
    raise Failure(f"no stack is running here: start one with `memstream up`, or set {', '.join(names)}")


def _stack_in(home: Path) -> Stack | None:
    path = home / "stack.json"
    try:
        return Stack.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Failure(f"{path} can't be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise Failure(
            f"{path} is not a stack.json: {error.error_count()} of its fields are missing or wrong"
        ) from error
