"""The embedded stack as a whole: one home, one set of children, one `stack.json`."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random

from memstream.contracts.stack import Stack
from memstream.local.stack.child import Child, Stage
from memstream.local.stack.keeper import Patience
from memstream.local.stack.plan import Plan
from memstream.local.stack.ports import require_free
from memstream.local.stack.process import Process, clean_environment
from memstream.local.stack.supervisor import Supervisor
from memstream.runtime.clock import Clock


class EmbeddedStack:
    """A stack that runs for as long as its context is open."""

    def __init__(  # noqa: PLR0913 - named arguments, set in one place
        self,
        plan: Plan,
        *,
        environment: Mapping[str, str],
        clock: Clock,
        chance: Random,
        say: Callable[[str], None],
        stages: Sequence[Stage] | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        self._plan = plan
        self._environment = clean_environment(environment)
        self._clock = clock
        self._chance = chance
        self._say = say
        self._stages = plan.stages() if stages is None else stages
        self._patience = patience
        self._supervisor: Supervisor | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Stack]:
        """Start everything in order; stop everything in reverse at the end, whichever way it comes.

        Raises:
            CannotStart: it can't; nothing is left running.

        """
        home = self._plan.home
        home.create()
        async with home.locked(self._clock) as lock:
            home.withdraw()
            require_free(child for stage in self._stages for child in stage)
            home.settle_model(self._plan.model)
            home.rotate_logs()
            running: Stack | None = None

            def republish() -> None:
                if running is not None:
                    self._publish(running.model_copy(update={"processes": supervisor.processes}))

            supervisor = self._supervise(lock, republish)
            self._supervisor = supervisor
            try:
                await supervisor.start()
                running = self._plan.describe(home.keys(), supervisor.processes)
                self._publish(running)
                yield running
            finally:
                running = None
                home.withdraw()
                await supervisor.stop()

    async def watch(self) -> None:
        """Keep the children running until this is cancelled."""
        if self._supervisor is not None:
            await self._supervisor.watch()

    def kill(self) -> None:
        """End every child at once."""
        if self._supervisor is not None:
            self._supervisor.kill()

    def _publish(self, stack: Stack) -> None:
        try:
            self._plan.home.publish(stack)
        except OSError as error:
            # The children go on serving; a full disk is no reason to stop them.
            self._say(f"stack.json can't be written: {error.strerror}")

    def _supervise(self, lock: int, on_replaced: Callable[[], None]) -> Supervisor:
        home = self._plan.home

        async def spawn(child: Child) -> Process:
            return await Process.spawn(child, environment=self._environment, log=home.log_of(child.name), lock=lock)

        return Supervisor(
            self._stages,
            spawn=spawn,
            log_of=home.log_of,
            patience=self._patience,
            clock=self._clock,
            chance=self._chance,
            say=self._say,
            on_replaced=on_replaced,
        )
