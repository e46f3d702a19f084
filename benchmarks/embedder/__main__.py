"""Measures embedder workers on a simulated provider.

    python -m benchmarks.embedder limits|workers|unlimited|memory|outage [options] [--json FILE]

Each says with `--help` what it does. Servers, provider and workers are processes of their own, fresh for every
contender; progress is read from the consumer group in Redis, so what counts is what is stored and acknowledged.
"""

import argparse
from types import ModuleType

from benchmarks.command import carry_out, shared_options
from benchmarks.embedder import limits, memory, outage, unlimited, workers

_BENCHMARKS: dict[str, tuple[ModuleType, int, float]] = {
    "limits": (limits, 1, 7200.0),
    "workers": (workers, 3, 3600.0),
    "unlimited": (unlimited, 3, 3600.0),
    "memory": (memory, 1, 7200.0),
    "outage": (outage, 1, 7200.0),
}
"""What can be run, with its usual rounds and the seconds it may take."""


def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedder", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(required=True, metavar="BENCHMARK")
    for name, (module, rounds, within) in _BENCHMARKS.items():
        about = (module.__doc__ or "").split("\n\n")[0]
        command = commands.add_parser(
            name, help=about, description=module.__doc__, parents=[shared_options(rounds=rounds, within=within)]
        )
        module.options(command)
        command.set_defaults(run=name)
    options = parser.parse_args()
    module = _BENCHMARKS[options.run][0]
    carry_out(f"embedder {options.run}", module.NOT_MEASURED, module.measure, options)


if __name__ == "__main__":
    main()
