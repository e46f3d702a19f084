"""One supervised process: started, probed, restarted whenever it ends, and stopped."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from memstream.local.stack.failure import CannotStart
from memstream.local.stack.process import Process, describe_exit
from memstream.local.stack.process_spec import ProcessSpec
from memstream.local.stack.readiness import listens
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.deadline import Deadline

_TAIL_LINES = 12
_TAIL_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long processes may take, in seconds."""

    ready: float = 60.0
    """From the start until the process is ready."""
    stop: float = 15.0
    """From SIGTERM until the process is killed."""
    stable: float = 20.0
    """A process that ran at least this long is restarted with the shortest delay."""
    probe_interval: float = 0.05
    backoff: Backoff = field(default_factory=lambda: Backoff(initial=0.2, maximum=10.0))


class ProcessSupervisor:
    """Starts a process, and restarts it whenever it ends."""

    def __init__(  # noqa: PLR0913 - named arguments, set in one place
        self,
        spec: ProcessSpec,
        *,
        spawn: Callable[[ProcessSpec], Awaitable[Process]],
        log: Path,
        timeouts: Timeouts,
        clock: Clock,
        rng: Random,
        say: Callable[[str], None],
        on_replaced: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.process: Process | None = None
        self._spawn = spawn
        self._log = log
        self._timeouts = timeouts
        self._clock = clock
        self._rng = rng
        self._say = say
        self._on_replaced = on_replaced

    async def start(self) -> None:
        """Start the process for the first time, and return when it is ready.

        Raises:
            CannotStart: it does not become ready; the error has the last lines of its log.

        """
        failure = await self._launch()
        if failure is not None:
            raise CannotStart(f"{self.spec.name} did not start: {failure}; log: {self._log}", self._tail())
        if self.spec.restart:
            self._say(f"  {self.spec.name:<12} {self.spec.url}")

    async def supervise(self) -> None:
        """Restart the process whenever it ends, until cancelled. Call it after `start`."""
        attempts = 0
        failure = None
        while True:
            ready_at = self._clock.monotonic()
            if failure is None and self.process is not None:
                failure = describe_exit(await self.process.wait())
                if self._clock.monotonic() - ready_at >= self._timeouts.stable:
                    attempts = 0
            attempts += 1
            delay = self._timeouts.backoff.delay(attempts, self._rng)
            self._say(f"{self.spec.name} ended ({failure}), restarting it in {delay:.1f} s; log: {self._log}")
            await self._clock.sleep(delay)
            failure = await self._launch()
            if failure is None and self.process is not None:
                self._say(f"{self.spec.name} is back as process {self.process.pid}")

    async def stop(self) -> None:
        """Ask the process to end; kill it if it does not end in time."""
        if self.process is not None and not await self.process.stop(self._timeouts.stop):
            self._say(f"{self.spec.name} did not end within {self._timeouts.stop:g} s and was killed")

    def kill(self) -> None:
        """Kill the process."""
        if self.process is not None:
            self.process.kill()

    async def _launch(self) -> str | None:
        """Start the process and wait until it is ready. Return None, or why it failed; then it does not run either."""
        is_restart = self.process is not None
        try:
            self.process = await self._spawn(self.spec)
        except OSError as error:
            return f"can't be run: {error.strerror or error}"
        if is_restart:
            self._on_replaced()
        return await self._until_ready(self.process)

    async def _until_ready(self, process: Process) -> str | None:
        deadline = Deadline(self._clock, self._timeouts.ready)
        while True:
            if process.exit_code is not None:
                succeeded = process.exit_code == 0 and not self.spec.restart
                return None if succeeded else describe_exit(process.exit_code)
            reason = await self._probe(process)
            if reason is None:
                return None
            if deadline.passed:
                process.kill()
                await process.wait()
                return f"not ready within {self._timeouts.ready:g} s ({reason})"
            await self._clock.sleep(self._timeouts.probe_interval)

    async def _probe(self, process: Process) -> str | None:
        if self.spec.probe is None:
            return "still running"
        reason = await self.spec.probe(self.spec.port)
        if reason is None and self.spec.share_port and not listens(process.pid, self.spec.port):
            return f"does not listen on port {self.spec.port}"
        return reason

    def _tail(self) -> list[str]:
        try:
            with self._log.open("rb") as log:
                size = log.seek(0, 2)
                log.seek(max(0, size - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return []
        return [f"  {line}" for line in lines[-_TAIL_LINES:]]
