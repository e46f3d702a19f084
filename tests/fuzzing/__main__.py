"""Fuzz what reads bytes from outside, guided by coverage: `python -m fuzzing [TARGET ...] [--runs N]`.

An input fails if a check fails, if it takes more than a second of CPU, or if memory grows beyond a gigabyte. The input
is then kept, and the exit code is not 0.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

from fuzzing.targets import TARGETS, Check, Target

_SECONDS_PER_INPUT = 1.0
"""Of CPU, so that a busy machine fails no input."""
_TRIES = 3
"""How often an input is tried that takes longer."""
_HANGING_SECONDS = 300
"""By the clock, for an input that never ends."""
_MEMORY_MB = 1024
_PROGRESS = re.compile(r"#(\d+)\s+(\w+).* rss: (\d+)Mb")


def main() -> int:
    """Fuzz each of the named targets in a process of its own, and return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--runs", type=int, default=100_000, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("build/fuzzing"), help="where inputs that fail are kept")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    options.keep.mkdir(parents=True, exist_ok=True)
    if options.alone:
        _fuzz(options.targets[0], TARGETS[options.targets[0]], options)
    results = [_in_process(name, options) for name in options.targets or TARGETS]
    return 0 if all(results) else 1


def _in_process(name: str, options: argparse.Namespace) -> bool:
    arguments = [name, "--alone", f"--runs={options.runs}", f"--seed={options.seed}", f"--keep={options.keep}"]
    process = subprocess.run([sys.executable, "-m", "fuzzing", *arguments], capture_output=True, text=True, check=False)
    seen = _PROGRESS.findall(process.stderr)
    loaded = next((int(rss) for _, event, rss in seen if event == "INITED"), 0)
    inputs, _, memory = seen[-1] if seen else (0, "", 0)
    if process.returncode:
        sys.stdout.write(f"{name}: FAILED after {inputs} inputs\n{process.stdout}{process.stderr[-4000:]}\n")
    else:
        sys.stdout.write(
            f"{name}: {inputs} inputs, no failure; memory {loaded} MB at the start, {memory} MB at the end\n"
        )
    sys.stdout.flush()
    return process.returncode == 0


def _seconds(check: Check, data: bytes) -> float:
    before = time.process_time()
    check(data)
    return time.process_time() - before


def _timed(check: Check) -> Check:
    def timed(data: bytes) -> None:
        # What a machine stands still for is counted, too; but hardly several times for the same input.
        slow = all(_seconds(check, data) > _SECONDS_PER_INPUT for _ in range(_TRIES))
        assert not slow, f"more than {_SECONDS_PER_INPUT:g} s of CPU for {len(data)} bytes, {_TRIES} times"

    return timed


def _fuzz(name: str, target: Target, options: argparse.Namespace) -> None:
    with TemporaryDirectory() as corpus:
        for number, sample in enumerate(target.samples):
            (Path(corpus) / str(number)).write_bytes(sample)
        arguments = [
            f"-runs={options.runs}",
            f"-seed={options.seed}",
            f"-max_len={target.longest}",
            f"-timeout={_HANGING_SECONDS}",
            f"-rss_limit_mb={_MEMORY_MB}",
            f"-artifact_prefix={options.keep}/{name}-",
            corpus,
        ]
        atheris.Setup([sys.argv[0], *arguments], _timed(target.make()))
        atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    raise SystemExit(main())
