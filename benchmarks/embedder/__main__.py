"""Measures embedder workers on a simulated provider.

    python -m benchmarks.embedder limits|workers|unlimited|memory|outage [options] [--json FILE]

`--help` describes each of them. Servers, provider and workers are separate processes, new for every contender.
Progress is read from the consumer group in Redis, so only messages that are stored and acknowledged count.
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
"""The benchmarks, each with its default rounds and its time limit in seconds."""


def main() -> None:
    """Run the benchmark with the options of the command line."""
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
