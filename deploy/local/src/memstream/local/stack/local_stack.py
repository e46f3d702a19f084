"""The local stack as a whole: one data directory, one set of processes, one `stack.json`."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random

from memstream.contracts.stack import Stack
from memstream.local.stack.plan import Plan
from memstream.local.stack.ports import require_free
from memstream.local.stack.process import Process, clean_environment
from memstream.local.stack.process_spec import ProcessSpec, Stage
from memstream.local.stack.process_supervisor import Timeouts
from memstream.local.stack.supervisor import Supervisor
from memstream.runtime.clock import Clock


class LocalStack:
    """A stack that runs while its context is open."""

    def __init__(  # noqa: PLR0913 - named arguments, set in one place
        self,
        plan: Plan,
        *,
        environment: Mapping[str, str],
        clock: Clock,
        rng: Random,
        say: Callable[[str], None],
        stages: Sequence[Stage] | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> None:
        self._plan = plan
        self._environment = clean_environment(environment)
        self._clock = clock
        self._rng = rng
        self._say = say
        self._stages = stages
        self._timeouts = timeouts
        self._supervisor: Supervisor | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Stack]:
        """Start every process in order, and yield the running stack; stop every process in reverse order at the end.

        Raises:
            CannotStart: the stack can't start; nothing is left running.

        """
        directory = self._plan.directory
        directory.create()
        async with directory.locked(self._clock) as lock:
            directory.remove_stack()
            directory.create_secrets()
            stages = self._plan.stages() if self._stages is None else self._stages
            require_free(spec for stage in stages for spec in stage)
            directory.require_model(self._plan.model)
            directory.rotate_logs()
            running: Stack | None = None

            def update_stack_file() -> None:
                if running is not None:
                    self._write_stack_file(running.model_copy(update={"processes": supervisor.processes}))

            supervisor = self._build_supervisor(stages, lock, update_stack_file)
            self._supervisor = supervisor
            try:
                await supervisor.start()
                running = self._plan.describe(directory.keys(), supervisor.processes)
                self._write_stack_file(running)
                yield running
            finally:
                running = None
                directory.remove_stack()
                await supervisor.stop()

    async def watch(self) -> None:
        """Supervise the processes until cancelled."""
        if self._supervisor is not None:
            await self._supervisor.watch()

    def kill(self) -> None:
        """Kill every process."""
        if self._supervisor is not None:
            self._supervisor.kill()

    def _write_stack_file(self, stack: Stack) -> None:
        try:
            self._plan.directory.write_stack(stack)
        except OSError as error:
            # The processes keep serving: a full disk is no reason to stop them.
            self._say(f"stack.json can't be written: {error.strerror}")

    def _build_supervisor(self, stages: Sequence[Stage], lock: int, on_replaced: Callable[[], None]) -> Supervisor:
        directory = self._plan.directory

        async def spawn(spec: ProcessSpec) -> Process:
            return await Process.spawn(spec, environment=self._environment, log=directory.log_of(spec.name), lock=lock)

        return Supervisor(
            stages,
            spawn=spawn,
            log_of=directory.log_of,
            timeouts=self._timeouts,
            clock=self._clock,
            rng=self._rng,
            say=self._say,
            on_replaced=on_replaced,
        )
