"""Injects faults into a site."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

from reliability.faults import (
    AtPoint,
    Cut,
    Fault,
    Kill,
    OldWorker,
    Outage,
    PartFault,
    Pause,
    Slow,
    Stall,
    Storm,
    Strand,
    Terminate,
)
from reliability.history import FaultInjected
from reliability.links import Link, Watch
from reliability.machine_faults import MachineFault
from reliability.site import OLD_WORKER, Site

_GRACE = 15.0


class FaultInjector:
    """Injects the faults of one run into a site. What was begun is ended by `finish`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._parts = site.parts
        self._tasks: list[asyncio.Task[None]] = []
        self._watches: list[tuple[AtPoint, Watch]] = []
        self._at_the_end: list[Callable[[], Awaitable[None]]] = []
        self._over = asyncio.Event()
        self._held: set[asyncio.Event] = set()

    def inject(self, fault: Fault) -> None:
        """Begin with a fault, and return at once."""
        self._note(fault, "begun")
        if isinstance(fault, AtPoint):
            self._arm(fault)
        elif isinstance(fault, MachineFault):
            self._tasks.append(asyncio.create_task(self._strike(fault)))
        else:
            self._tasks.append(asyncio.create_task(self._carry_out(fault)))

    async def settled(self) -> None:
        """Wait until faults that last for some time have ended."""
        while any(not task.done() for task in self._tasks):
            await asyncio.wait(self._tasks)
        for task in self._tasks:
            task.result()

    async def finish(self) -> None:
        """Wait no longer for moments that have not come, end what is in progress, and undo what lasts."""
        for fault, watch in self._watches:
            if not watch.hit.is_set():
                watch.disarm()
                self._note(fault, "missed")
        self._over.set()
        for sent in self._held:
            await sent.wait()
        await self.settled()
        for undo in self._at_the_end:
            await undo()
        self._at_the_end.clear()

    def _note(self, fault: Fault, phase: str) -> None:
        self._site.history.add(FaultInjected(fault.name, fault.kind, phase))  # type: ignore[arg-type]

    async def _strike(self, fault: MachineFault) -> None:
        await self._site.strike(fault)
        self._note(fault, "ended")

    async def _carry_out(self, fault: PartFault) -> None:
        match fault:
            case Kill(part, down):
                await self._kill(part, down)
            case Terminate(part):
                await self._terminate(part)
            case Pause(part, seconds):
                await self._pause(part, seconds)
            case Storm() | Outage():
                await self._trouble_provider(fault)
            case Strand():
                await self._strand(fault)
            case Cut() | Stall() | Slow():
                await self._trouble_link(fault)
            case OldWorker():
                if not await self._replace():
                    self._note(fault, "missed")
                    return
            case AtPoint():
                raise AssertionError("it waits for its moment")
        self._note(fault, "ended")

    async def _kill(self, part: str, down: float) -> None:
        self._site.hold_down(part)
        try:
            if self._parts.runs(part):
                await self._parts.kill(part)
            await asyncio.sleep(down)  # the fault: for so long nobody starts it again
        finally:
            self._site.let_up(part)

    async def _terminate(self, part: str) -> None:
        if not self._parts.runs(part):
            return
        self._site.hold_down(part)
        process = self._parts.process(part)
        try:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_GRACE):
                    await process.wait()
            except TimeoutError:
                # What a supervisor does; the run is judged by what became of the messages.
                process.kill()
                await process.wait()
        finally:
            self._site.let_up(part)

    async def _pause(self, part: str, seconds: float) -> None:
        if not self._parts.runs(part):
            return
        process = self._parts.process(part)
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)  # the fault: it stands still for so long
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)

    async def _trouble_provider(self, fault: Storm | Outage) -> None:
        if isinstance(fault, Storm):
            await self._site.script(storm=fault.share)
        else:
            await self._site.script(fail={"name": fault.how})
        try:
            await asyncio.sleep(fault.seconds)  # the fault: it lasts so long
        finally:
            await self._site.script(**({"storm": 0.0} if isinstance(fault, Storm) else {"mend": True}))

    async def _trouble_link(self, fault: Cut | Stall | Slow) -> None:
        link = self._site.links[f"{fault.client}>{fault.server}"]
        match fault:
            case Cut():
                link.refuses = fault.seconds > 0
                link.break_off()
            case Stall():
                link.flowing.clear()
            case Slow():
                link.delay = fault.delay
        try:
            await asyncio.sleep(fault.seconds)  # the fault: it lasts so long
        finally:
            link.mend()

    async def _strand(self, fault: Strand) -> None:
        link = self._site.links[f"{fault.client}>{fault.server}"]
        link.flowing.clear()
        try:
            await asyncio.sleep(fault.seconds)  # the fault: it lasts so long
            await self._kill(fault.client, 0.0)
        finally:
            link.mend()

    async def _replace(self) -> bool:
        """Replace a worker by an old one, and by a new one at the end; return whether there is an old one."""
        if self._site.old_path is None:
            return False
        self._site.use_release(self._site.old_path)
        self._at_the_end.append(self._renew)
        await self._terminate(OLD_WORKER)
        return True

    async def _renew(self) -> None:
        self._site.use_release(None)
        await self._terminate(OLD_WORKER)

    def _arm(self, fault: AtPoint) -> None:
        async def act(link: Link) -> bool:
            return await self._hit(fault, link)

        point = fault.point
        watch = Watch(point, act)
        for link in self._site.links.values():
            if link.client.startswith(point.client) and link.server == point.server:
                watch.links.append(link)
                link.watches.append(watch)
        self._watches.append((fault, watch))

    async def _hit(self, fault: AtPoint, link: Link) -> bool:
        """Inject the fault at the moment; what the killed one was about to say, or to hear, is lost with it."""
        self._note(fault, "hit")
        match fault.blow:
            case "kill":
                await self._kill(link.client, 0.0)
                return False
            case "kill server":
                await self._kill(link.server, 0.0)
                # An answer that was on its way arrives all the same; a command that wasn't doesn't.
                return fault.point.phase == "answered"
            case "pause":
                await self._pause(link.client, fault.seconds)
                return True
            case "hold":
                sent = asyncio.Event()
                self._held.add(sent)
                try:
                    await self._kill(link.client, 0.0)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(fault.seconds or None):
                            await self._over.wait()
                finally:
                    # Also when the server has ended meanwhile: then there is nobody to say it to.
                    sent.set()
                return True
