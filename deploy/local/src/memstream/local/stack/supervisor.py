"""Processes in stages: started in order, restarted when they end, stopped in reverse order."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from random import Random

from memstream.contracts.stack import StackProcess
from memstream.local.stack.failure import CannotStart
from memstream.local.stack.process import Process
from memstream.local.stack.process_spec import ProcessSpec, Stage
from memstream.local.stack.process_supervisor import ProcessSupervisor, Timeouts
from memstream.runtime.clock import Clock


class Supervisor:
    """Runs the processes of several stages, one stage after the other."""

    def __init__(  # noqa: PLR0913 - named arguments, set in one place
        self,
        stages: Sequence[Stage],
        *,
        spawn: Callable[[ProcessSpec], Awaitable[Process]],
        log_of: Callable[[str], Path],
        timeouts: Timeouts,
        clock: Clock,
        rng: Random,
        say: Callable[[str], None],
        on_replaced: Callable[[], None],
    ) -> None:
        self._stages = [
            [
                ProcessSupervisor(
                    spec,
                    spawn=spawn,
                    log=log_of(spec.name),
                    timeouts=timeouts,
                    clock=clock,
                    rng=rng,
                    say=say,
                    on_replaced=on_replaced,
                )
                for spec in stage
            ]
            for stage in stages
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start every stage; return when the last is ready. Processes that are ready are restarted whenever they end.

        Raises:
            CannotStart: a process does not become ready. The others keep running: call `stop`.

        """
        for stage in self._stages:
            try:
                async with asyncio.TaskGroup() as group:
                    for process in stage:
                        group.create_task(self._start(process))
            except ExceptionGroup as failures:
                expected = failures.subgroup(CannotStart)
                if expected is None:
                    raise
                raise expected.exceptions[0] from None

    async def watch(self) -> None:
        """Supervise the processes until cancelled."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Stop every stage, the last one first, and return when no process is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stage in reversed(self._stages):
            await asyncio.gather(*(process.stop() for process in stage))

    def kill(self) -> None:
        """Kill every process; `stop` then has nothing to wait for."""
        for process in self._supervised():
            process.kill()

    @property
    def processes(self) -> list[StackProcess]:
        """The processes that run permanently, with their current process ids."""
        return [
            StackProcess(name=process.spec.name, pid=process.process.pid)
            for process in self._supervised()
            if process.spec.restart and process.process is not None
        ]

    async def _start(self, process: ProcessSupervisor) -> None:
        await process.start()
        if process.spec.restart:
            self._tasks.append(asyncio.create_task(process.supervise(), name=process.spec.name))

    def _supervised(self) -> Iterable[ProcessSupervisor]:
        return (process for stage in self._stages for process in stage)
