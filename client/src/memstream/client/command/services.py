"""Where the services are, and with which key to call them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import typer
from pydantic import ValidationError

from memstream.client._errors import MemstreamClientError
from memstream.client._memory import Memstream
from memstream.client._retries import Retries
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import invocation_of
from memstream.contracts.stack import Stack

DEFAULT_HOME = Path(".memstream")

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
    if home is not None:
        found = _stack_in(home)
        if found is None:
            raise Failure(f"no stack is running in {home}: start one with `memstream up --home {home}`")
        return found
    values = {name: environment.get(name, "").strip() for name in _VARIABLES}
    if any(values.values()):
        missing = [name for name, value in values.items() if not value]
        if missing:
            raise Failure(f"{' and '.join(missing)} not set: set all of {', '.join(_VARIABLES)}, or give --home")
        ingest_url, retriever_url, api_key = values.values()
        return Services(ingest_url, retriever_url, api_key)
    found = _stack_in(default_home)
    if found is None:
        raise Failure(f"no stack is running here: start one with `memstream up`, or set {', '.join(_VARIABLES)}")
    return found


def _stack_in(home: Path) -> Services | None:
    path = home / "stack.json"
    try:
        stack = Stack.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Failure(f"{path} can't be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise Failure(
            f"{path} is not a stack.json: {error.error_count()} of its fields are missing or wrong"
        ) from error
    return Services(stack.ingest_url, stack.retriever_url, stack.api_key, stack)
