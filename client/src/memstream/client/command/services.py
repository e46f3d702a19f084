"""The services that a command calls: their URLs and API keys."""

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

INTERACTIVE_RETRIES = Retries(deadline=20.0, unreachable=2.0)
"""For a single request that somebody waits for."""

PATIENT_RETRIES = Retries(deadline=float("inf"), unreachable=30.0)
"""For long work: an overloaded server is retried for ever, an unreachable one for as long as a restart takes."""

_ADMIN_VARIABLES = ("MEMSTREAM_INGEST_URL", "MEMSTREAM_ADMIN_KEY")
_VARIABLES = ("MEMSTREAM_INGEST_URL", "MEMSTREAM_RETRIEVER_URL", "MEMSTREAM_API_KEY")


@dataclass(frozen=True, slots=True)
class Services:
    """The URLs of both services, a tenant's API key, and the local stack they belong to, if any."""

    ingest_url: str
    retriever_url: str
    api_key: str
    stack: Stack | None = None

    def memory(
        self, retries: Retries, *, on_wait: Callable[[MemstreamClientError, float], None] | None = None
    ) -> Memstream:
        """Return a new client of these services."""
        return Memstream(
            ingest_url=self.ingest_url,
            retriever_url=self.retriever_url,
            api_key=self.api_key,
            retries=retries,
            on_wait=on_wait,
        )


@dataclass(frozen=True, slots=True)
class AdminService:
    """What an operator needs: the URL of ingest and an admin key."""

    ingest_url: str
    admin_key: str

    def operator(
        self, retries: Retries, *, on_wait: Callable[[MemstreamClientError, float], None] | None = None
    ) -> Operator:
        """Return a new client for operators."""
        return Operator(ingest_url=self.ingest_url, admin_key=self.admin_key, retries=retries, on_wait=on_wait)


def services_for(context: typer.Context, home: Path | None) -> Services:
    """Return the services for a command; `home` is the value of its own `--home`.

    Raises:
        Failure: none are configured or running.

    """
    invocation = invocation_of(context)
    return find_services(invocation.environment, home or invocation.home)


def find_services(environment: Mapping[str, str], home: Path | None, default_home: Path = DEFAULT_HOME) -> Services:
    """Return the services: those of `home`, else of the environment, else of the default home.

    The environment must have all variables or none, so the key of one installation is never sent to another.

    Raises:
        Failure: none are configured or running; the message says what to do.

    """
    values = None if home is not None else _values(environment, _VARIABLES)
    if values is not None:
        ingest_url, retriever_url, api_key = values
        return Services(ingest_url, retriever_url, api_key)
    stack = _stack(home, default_home, _VARIABLES)
    return Services(stack.ingest_url, stack.retriever_url, stack.api_key, stack)


def admin_service_for(context: typer.Context, home: Path | None) -> AdminService:
    """Return the service for an operator's command; `home` is the value of its own `--home`.

    Raises:
        Failure: none is configured or running.

    """
    invocation = invocation_of(context)
    return find_admin_service(invocation.environment, home or invocation.home)


def find_admin_service(
    environment: Mapping[str, str], home: Path | None, default_home: Path = DEFAULT_HOME
) -> AdminService:
    """Return the service for operators, looked for in the order of `find_services`.

    Raises:
        Failure: none is configured or running; the message says what to do.

    """
    values = None if home is not None else _values(environment, _ADMIN_VARIABLES)
    if values is not None:
        ingest_url, admin_key = values
        return AdminService(ingest_url, admin_key)
    stack = _stack(home, default_home, _ADMIN_VARIABLES)
    return AdminService(stack.ingest_url, stack.admin_key)


def stack_of(context: typer.Context, home: Path | None, prefix: str) -> Stack | None:
    """Return the local stack for a command that needs its servers; None if the environment says where they are.

    `home` is the value of its own `--home`, and variables of servers begin with `prefix`.

    Raises:
        Failure: there is none in the home that was named.

    """
    invocation = invocation_of(context)
    named = home or invocation.home
    if named is None and any(name.startswith(prefix) for name in invocation.environment):
        return None
    return _stack(named, DEFAULT_HOME, [f"{prefix}…"])


def _values(environment: Mapping[str, str], names: Sequence[str]) -> list[str] | None:
    """Return the values of these variables, or None if none of them is set.

    Raises:
        Failure: only some of them are set.

    """
    values = {name: environment.get(name, "").strip() for name in names}
    if not any(values.values()):
        return None
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise Failure(f"{' and '.join(missing)} not set: set all of {', '.join(names)}, or use --home")
    return list(values.values())


def _stack(home: Path | None, default_home: Path, names: Sequence[str]) -> Stack:
    found = _read_stack(home or default_home)
    if found is not None:
        return found
    if home is not None:
        raise Failure(f"no stack is running in {home}: start one with `memstream up --home {home}`")
    raise Failure(f"no stack is running here: start one with `memstream up`, or set {', '.join(names)}")


def _read_stack(home: Path) -> Stack | None:
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
