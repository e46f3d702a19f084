"""`python -m memstream.local.embeddings`: start the embeddings server."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from memstream.local.embeddings.cpu import usable_cores, use_widest_instructions
from memstream.local.embeddings.model import Model


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. Exits with 0 after a signal, with 1 and one line on stderr if it can't start."""
    options = _options(os.environ).parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, _exit)
    use_widest_instructions(os.environ)

    # These load CTranslate2, which reads the environment, and is too slow for `--help`.
    from memstream.local.embeddings.server import listen, serve  # noqa: PLC0415
    from memstream.local.embeddings.weights import WeightsError  # noqa: PLC0415

    try:
        listening = listen(options.host, options.port)
    except OSError as error:
        _fail(f"can't listen on {options.host} port {options.port}: {error.strerror}")
    try:
        model = _model(options)
    except (WeightsError, OSError) as error:
        _fail(str(error))
    key = os.environ.get("MEMSTREAM_LOCAL_EMBEDDINGS_API_KEY")
    serve(model, listening, host=options.host, api_key=key, threads=options.threads, log_level=options.log_level)


def _options(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    caches = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(
        prog="python -m memstream.local.embeddings",
        description="OpenAI's embeddings API over a model on this machine's processor. Nothing goes to the network. "
        "Clients must have the key in the environment variable MEMSTREAM_LOCAL_EMBEDDINGS_API_KEY, if it is set.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=_port, required=True, help="the port to listen on; 0 for any free one")
    parser.add_argument(
        "--model",
        choices=("minilm", "wordllama"),
        default="minilm",
        help="all-MiniLM-L6-v2 (384 dimensions) or wordllama-256 (lower quality, fifty times as fast)",
    )
    parser.add_argument("--cache", type=Path, default=caches / "memstream", help="where the converted model is kept")
    parser.add_argument("--threads", type=_threads, default=usable_cores(), help="batches computed in parallel")
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="warning", help="for stderr"
    )
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004 - the last port
        raise argparse.ArgumentTypeError(f"{text} is not a port, 0 to 65535")
    return int(text)


def _threads(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of threads, 1 or more")
    return int(text)


def _model(options: argparse.Namespace) -> Model:
    # Only the libraries of the model that is served are loaded.
    if options.model == "wordllama":
        from memstream.local.embeddings.wordllama import WordLlama  # noqa: PLC0415

        return WordLlama()
    from memstream.local.embeddings.minilm import MiniLm  # noqa: PLC0415

    return MiniLm(options.cache, threads=options.threads)


def _exit(_: int, __: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _fail(reason: str) -> NoReturn:
    print(f"embeddings: {reason}", file=sys.stderr)  # noqa: T201 - the one line that says why
    raise SystemExit(1)


if __name__ == "__main__":
    main()
