"""Show what becomes of a Memstream on several hosts when some of it is lost or replaced: `python -m machines --help`.

Exits with 1 if a promise is not kept.
"""

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from machines import estate, loss, upgrade
from machines.load import Load, Rates
from memstream.runtime.clock import SystemClock


async def show(options: argparse.Namespace, folder: Path) -> loss.Figures | upgrade.Figures:
    """Run everything, and do what was asked for."""
    clock = SystemClock()
    former = await _former(options, folder)
    async with estate.running(options.qdrant_binary, folder, redis=options.redis, former=former) as running:
        load = Load(
            clock,
            Random(options.seed),  # noqa: S311 - nothing secret is made from it
            running.urls,
            running.parts.info.api_key,
            Rates(options.messages, options.searches),
        )
        if options.what == "upgrade":
            return await upgrade.upgrade(running, load)
        return await loss.lose(running, load, clock, options.how)


async def _former(options: argparse.Namespace, folder: Path) -> estate.Former:
    """Return what the services run with at first."""
    if options.what != "upgrade" or options.restart:
        return lambda _: {}
    previous = await upgrade.previous(folder / "previous")
    if previous is None:
        sys.exit("this takes the last release, which is not in this repository's history")
    return partial(upgrade.as_of, previous)


def main() -> None:
    """Read the command line, and tell the figures."""
    parser = argparse.ArgumentParser(prog="python -m machines", description=__doc__)
    parser.add_argument(
        "what", choices=("loss", "upgrade"), help="a Redis primary and a Qdrant node are lost, or all services replaced"
    )
    parser.add_argument("--qdrant-binary", type=Path, required=True, metavar="FILE", help="a Qdrant server")
    parser.add_argument("--redis", choices=("sentinel", "cluster"), default="sentinel")
    parser.add_argument("--how", choices=("killed", "switched off"), default="killed", help="how servers are lost")
    parser.add_argument(
        "--restart", action="store_true", help="replace services of this source, not of the last release"
    )
    parser.add_argument("--messages", type=float, default=200, metavar="RATE", help="messages a second")
    parser.add_argument("--searches", type=float, default=50, metavar="RATE", help="searches a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    options = parser.parse_args()
    lacking = estate.missing()
    if lacking is not None:
        sys.exit(f"this takes {lacking}")
    # Whoever ends it wants hosts and servers to be gone, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    in_memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    with TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None) as folder:
        figures = asyncio.run(show(options, Path(folder)))
    sys.stdout.write(figures.text() + "\n")
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(figures), indent=2) + "\n")
    sys.exit(figures.is_kept is False)


if __name__ == "__main__":
    main()
