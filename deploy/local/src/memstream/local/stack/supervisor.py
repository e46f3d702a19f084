"""Children in stages: started in order, kept running, stopped in reverse."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from random import Random

from memstream.contracts.stack import StackProcess
from memstream.local.stack.child import Child, Stage
from memstream.local.stack.failure import CannotStart
from memstream.local.stack.keeper import Keeper, Patience
from memstream.local.stack.process import Process
from memstream.runtime.clock import Clock


class Supervisor:
    """Runs the children of a table, one stage after the other."""

    def __init__(  # noqa: PLR0913 - named arguments, set in one place
        self,
        stages: Sequence[Stage],
        *,
        spawn: Callable[[Child], Awaitable[Process]],
        log_of: Callable[[str], Path],
        patience: Patience,
        clock: Clock,
        chance: Random,
        say: Callable[[str], None],
        on_replaced: Callable[[], None],
    ) -> None:
        self._stages = [
            [
                Keeper(
                    child,
                    spawn=spawn,
                    log=log_of(child.name),
                    patience=patience,
                    clock=clock,
                    chance=chance,
                    say=say,
                    on_replaced=on_replaced,
                )
                for child in stage
            ]
            for stage in stages
        ]
        self._keeping: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start every stage; come back when the last is ready. What is ready is kept running from then on.

        Raises:
            CannotStart: a child does not become ready. Those that run go on running: stop them.

        """
        for stage in self._stages:
            try:
                async with asyncio.TaskGroup() as group:
                    for keeper in stage:
                        group.create_task(self._start(keeper))
            except ExceptionGroup as failures:
                expected = failures.subgroup(CannotStart)
                if expected is None:
                    raise
                raise expected.exceptions[0] from None

    async def watch(self) -> None:
        """Keep the children running until this is cancelled."""
        await asyncio.gather(*self._keeping)

    async def stop(self) -> None:
        """Stop every stage, the last one first, and come back when no child runs any more."""
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        for stage in reversed(self._stages):
            await asyncio.gather(*(keeper.stop() for keeper in stage))

    def kill(self) -> None:
        """End every child at once; `stop` then has nothing to wait for."""
        for keeper in self._keepers():
            keeper.kill()

    @property
    def processes(self) -> list[StackProcess]:
        """The children that are kept, as they run now."""
        return [
            StackProcess(name=keeper.child.name, pid=keeper.process.pid)
            for keeper in self._keepers()
            if keeper.child.lasts and keeper.process is not None
        ]

    async def _start(self, keeper: Keeper) -> None:
        await keeper.start()
        if keeper.child.lasts:
            self._keeping.append(asyncio.create_task(keeper.keep(), name=keeper.child.name))

    def _keepers(self) -> Iterable[Keeper]:
        return (keeper for stage in self._stages for keeper in stage)
