"""Runs a program that is killed when the supervisor ends, however the supervisor ends.

Run as a script: `parent_death_signal.py SUPERVISOR_PID PROGRAM ARGUMENT…`. It sets the kernel's parent-death signal for
this process and then replaces itself by the program; signal and process id stay. Setting it between fork and exec would
run Python code in a forked process with threads, which is not safe. Only Linux has this signal; on other systems, the
lock that processes inherit keeps a second stack out of the data directory until they have ended.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Set the signal, and replace this process by the program."""
    supervisor, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"can't set the parent-death signal: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != supervisor:
        # It ended before the signal was set.
        sys.exit("the supervisor is gone")
    try:
        os.execv(program[0], program)  # noqa: S606 - the supervisor decides what to run
    except OSError as error:
        sys.exit(f"{program[0]} can't be run: {error.strerror}")


if __name__ == "__main__":
    main()
