"""Run the retriever: `python -m memstream.retriever`."""

import argparse
import sys

from memstream.retriever.app import build
from memstream.retriever.settings import RetrieverSettings
from memstream.runtime.clock import SystemClock
from memstream.runtime.configuration import load_settings, stop_with
from memstream.runtime.errors import ConfigurationError
from memstream.runtime.sockets import listen
from memstream.runtime.telemetry import configure_logging
from memstream.web.server import serve

SWITCH_SECONDS = 0.001
"""So often another thread may take over: the event loop waits no longer than that for a long calculation."""


def main() -> None:
    """Read the environment, and serve until SIGINT or SIGTERM."""
    argparse.ArgumentParser(
        prog="python -m memstream.retriever",
        description="Answers what a user's past says about a question. Settings come from the environment: "
        "MEMSTREAM_RETRIEVER_REDIS_URL, …_QDRANT_URL, …_EMBEDDINGS_API_KEY and so on.",
    ).parse_args()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        settings = load_settings(RetrieverSettings)
        configure_logging("retriever", settings.log_level)
        app = build(settings, SystemClock())
        listener = listen(settings.host, settings.port, reuse_port=settings.reuse_port)
    except ConfigurationError as error:
        stop_with(error)
    serve(app, listener, settings.http_limits())


if __name__ == "__main__":
    main()
