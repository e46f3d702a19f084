"""A running process."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from memstream.local.stack import parent_death_signal
from memstream.local.stack.process_spec import ProcessSpec

_KEPT = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}
    | {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "XDG_CACHE_HOME", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX"}
)
_KEPT_PREFIXES = ("LC_", "SSL_")


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that any program needs, without the caller's settings, proxies and Python paths."""
    return {name: value for name, value in environment.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)} | {
        "PYTHONUNBUFFERED": "1"
    }


class Process:
    """A running process in its own session. It writes to its log, and dies with the supervisor."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def spawn(cls, spec: ProcessSpec, *, environment: Mapping[str, str], log: Path, lock: int) -> Self:
        """Start a process. It inherits the data directory's lock.

        Raises:
            OSError: the process can't be started.

        """
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                parent_death_signal.__file__,
                str(os.getpid()),
                *spec.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environment, **spec.environment},
                start_new_session=True,
                pass_fds=(lock,),
            )
        return cls(process)

    @property
    def pid(self) -> int:
        """The id of the process and of its process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, or the negative number of the signal that ended the process; None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait until the process has ended, and return its exit code."""
        return await self._process.wait()

    async def stop(self, grace: float) -> bool:
        """Ask the process to end, and kill it after `grace` seconds. Return whether it ended in time."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace):
                    await self.wait()
            except TimeoutError:
                self.kill()
                await self.wait()
                return False
        return True

    def kill(self) -> None:
        """Kill the process and its process group."""
        if self.exit_code is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return


def describe_exit(exit_code: int) -> str:
    """Return how a process ended, in words."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"killed by signal {-exit_code}"
