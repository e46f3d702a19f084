"""A child that runs."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from memstream.local.stack import leash
from memstream.local.stack.child import Child

_KEPT = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"}
    | {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "XDG_CACHE_HOME", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX"}
)
_KEPT_PREFIXES = ("LC_", "SSL_")


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Keep of an environment what any program needs: no setting, proxy or Python path of the caller's gets through."""
    return {name: value for name, value in environment.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)} | {
        "PYTHONUNBUFFERED": "1"
    }


class Process:
    """A running child in a session of its own, on the leash, writing to its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def spawn(cls, child: Child, *, environment: Mapping[str, str], log: Path, lock: int) -> Self:
        """Start a child. It inherits the home's lock.

        Raises:
            OSError: it can't be started.

        """
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                leash.__file__,
                str(os.getpid()),
                *child.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environment, **child.environment},
                start_new_session=True,
                pass_fds=(lock,),
            )
        return cls(process)

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; the negative number of the signal that ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        """Come back when it has ended, with its exit code."""
        return await self._process.wait()

    async def stop(self, grace: float) -> bool:
        """Ask it to end, and kill it after `grace` seconds. Says whether it ended by itself."""
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
        """End it and what it started, at once."""
        if self.exit_code is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return


def how_it_ended(exit_code: int) -> str:
    """Say how a process ended."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"killed by signal {-exit_code}"
