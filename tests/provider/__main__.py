"""Run the simulated provider as a process: `python -m tests.provider --help`."""

import argparse

import uvicorn

from memstream.runtime.clock import SystemClock

from .limits import RateLimits
from .script import Latency, Script
from .server import Provider


def main() -> None:
    """Serve until SIGINT or SIGTERM. `POST /script` changes it meanwhile; `GET /counts` tells what it was asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.provider", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dimensions", type=int, default=1536)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="median of a call")
    parser.add_argument("--sigma", type=float, default=0.0, help="spread of the latency, lognormal")
    parser.add_argument("--rpm", type=int, help="requests a minute")
    parser.add_argument("--tpm", type=int, help="tokens a minute, 4 bytes each")
    parser.add_argument("--concurrency", type=int, help="calls answered at once; further ones get 429")
    parser.add_argument("--storm", type=float, default=0.0, metavar="SHARE", help="share of calls that get 429")
    parser.add_argument("--poison", action="append", default=[], metavar="TEXT", help="a call that holds it gets 400")
    options = parser.parse_args()
    script = Script(seed=options.seed, dimensions=options.dimensions)
    script.latency = Latency(options.latency, options.sigma)
    script.limits = RateLimits(options.rpm, options.tpm)
    script.concurrency = options.concurrency
    script.storm = options.storm
    script.poison = set(options.poison)
    uvicorn.run(
        Provider(script, SystemClock()).application(), host=options.host, port=options.port, log_level="warning"
    )


if __name__ == "__main__":
    main()
