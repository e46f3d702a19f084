"""A child that is kept running."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from memstream.local.stack.child import Child
from memstream.local.stack.failure import CannotStart
from memstream.local.stack.process import Process, how_it_ended
from memstream.local.stack.readiness import listens
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.deadline import Deadline

_TAIL_LINES = 12
_TAIL_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Patience:
    """How long children may take; seconds."""

    start: float = 60.0
    """Until ready."""
    stop: float = 15.0
    """To end when asked to, before they are killed."""
    healthy: float = 20.0
    """Who ran that long starts again without a wait the next time."""
    between_probes: float = 0.05
    backoff: Backoff = field(default_factory=lambda: Backoff(initial=0.2, maximum=10.0))


class Keeper:
    """Starts a child, and starts it again whenever it ends."""

    def __init__(  # noqa: PLR0913 - named arguments, set in one place
        self,
        child: Child,
        *,
        spawn: Callable[[Child], Awaitable[Process]],
        log: Path,
        patience: Patience,
        clock: Clock,
        chance: Random,
        say: Callable[[str], None],
        on_replaced: Callable[[], None],
    ) -> None:
        self.child = child
        self.process: Process | None = None
        self._spawn = spawn
        self._log = log
        self._patience = patience
        self._clock = clock
        self._chance = chance
        self._say = say
        self._on_replaced = on_replaced

    async def start(self) -> None:
        """Start it for the first time, and come back when it is ready.

        Raises:
            CannotStart: it does not become ready; with the last lines of its log.

        """
        trouble = await self._launch()
        if trouble is not None:
            raise CannotStart(f"{self.child.name} did not start: {trouble}; log: {self._log}", self._tail())
        if self.child.lasts:
            self._say(f"  {self.child.name:<12} {self.child.url}")

    async def keep(self) -> None:
        """Start it again whenever it ends, for ever; ask for it after `start`."""
        failures = 0
        trouble = None
        while True:
            ready_at = self._clock.monotonic()
            if trouble is None and self.process is not None:
                trouble = how_it_ended(await self.process.wait())
                if self._clock.monotonic() - ready_at >= self._patience.healthy:
                    failures = 0
            failures += 1
            delay = self._patience.backoff.delay(failures, self._chance)
            self._say(f"{self.child.name} ended ({trouble}), starting it again in {delay:.1f} s; log: {self._log}")
            await self._clock.sleep(delay)
            trouble = await self._launch()
            if trouble is None and self.process is not None:
                self._say(f"{self.child.name} is back as process {self.process.pid}")

    async def stop(self) -> None:
        """End it: gently, then not."""
        if self.process is not None and not await self.process.stop(self._patience.stop):
            self._say(f"{self.child.name} did not end within {self._patience.stop:g} s and was killed")

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()

    async def _launch(self) -> str | None:
        """Start it and wait until it is ready, or give the reason why it isn't; then it doesn't run either."""
        replaces = self.process is not None
        try:
            self.process = await self._spawn(self.child)
        except OSError as error:
            return f"can't be run: {error.strerror or error}"
        if replaces:
            self._on_replaced()
        return await self._until_ready(self.process)

    async def _until_ready(self, process: Process) -> str | None:
        deadline = Deadline(self._clock, self._patience.start)
        while True:
            if process.exit_code is not None:
                succeeded = process.exit_code == 0 and not self.child.lasts
                return None if succeeded else how_it_ended(process.exit_code)
            reason = await self._ask(process)
            if reason is None:
                return None
            if deadline.passed:
                process.kill()
                await process.wait()
                return f"not ready within {self._patience.start:g} s ({reason})"
            await self._clock.sleep(self._patience.between_probes)

    async def _ask(self, process: Process) -> str | None:
        if self.child.probe is None:
            return "still at work"
        reason = await self.child.probe(self.child.port)
        if reason is None and self.child.share_port and not listens(process.pid, self.child.port):
            return f"does not listen on port {self.child.port}"
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
