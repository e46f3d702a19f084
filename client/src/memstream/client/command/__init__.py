"""The `memstream` command. It needs the extra `command` of the client."""

import os
import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command with this process's arguments and environment, and exit."""
    if find_spec("typer") is None or find_spec("rich") is None:
        sys.exit("memstream: the command needs its extra: pip install 'memstream-client[command]'")
    try:
        # Imported late: without the extra it can't be imported.
        from memstream.client.command.application import run  # noqa: PLC0415

        sys.exit(run(sys.argv[1:], os.environ))
    except KeyboardInterrupt:
        sys.exit(130)
