"""Becomes another program that dies with the supervisor, however the supervisor ends.

Run as a script: `leash.py SUPERVISOR_PID PROGRAM ARGUMENT…`. It asks the kernel to kill this process when its parent
ends, and then replaces itself, which keeps that wish and the process id. The supervisor could ask for it between fork
and exec, but Python code is not safe there in a process with threads. Elsewhere than on Linux there is no such wish to
make; there, the lock that children inherit keeps a second stack off a home whose children still run.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Put on the leash, and become the program."""
    supervisor, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"can't be bound to the supervisor: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != supervisor:
        # It ended before the wish was made.
        sys.exit("the supervisor is gone")
    try:
        os.execv(program[0], program)  # noqa: S606 - the supervisor's own table says what to run
    except OSError as error:
        sys.exit(f"{program[0]} can't be run: {error.strerror}")


if __name__ == "__main__":
    main()
