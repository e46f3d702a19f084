"""The supervisor, with small real processes as its children."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from ports import free_ports
from waiting import until

from memstream.local.stack.process import Process
from memstream.local.stack.process_spec import ProcessSpec
from memstream.local.stack.process_supervisor import ProcessSupervisor, Timeouts

STACK = Path(__file__).parent / "stubs" / "stack.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")


class Run:
    """A supervisor of stubs in a process of its own, and what can be seen of it from the outside."""

    def __init__(self, home: Path, port_base: int, moods: str, **environment: str) -> None:
        self.home = home
        home.parent.mkdir(exist_ok=True)
        self.screen_file = home.parent / f"screen-{port_base}-{len(list(home.parent.iterdir()))}"
        with self.screen_file.open("wb") as screen:
            self.process = subprocess.Popen(
                # As a background job of a script would be: with SIGINT ignored.
                [
                    "/bin/sh",
                    "-c",
                    'trap "" INT; exec "$@"',
                    "sh",
                    sys.executable,
                    str(STACK),
                    str(home),
                    str(port_base),
                    moods,
                ],
                stdout=screen,
                stderr=screen,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    @property
    def screen(self) -> str:
        return self.screen_file.read_text()

    @property
    def events(self) -> list[str]:
        file = self.home / "events"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def info(self) -> dict[str, Any] | None:
        try:
            return cast("dict[str, Any]", json.loads((self.home / "stack.json").read_text()))
        except FileNotFoundError:
            return None

    @property
    def pids(self) -> dict[str, int]:
        return {process["name"]: process["pid"] for process in (self.info or {"processes": []})["processes"]}

    async def ready(self) -> None:
        await until(lambda: "ready" in self.screen.splitlines(), f"ready on the screen, but: {self.screen}")

    async def exit_code(self) -> int:
        await until(lambda: self.process.poll() is not None, f"the supervisor's end, but: {self.screen}")
        return self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start supervisors, on one home unless told otherwise; whatever is left of them is killed after the test."""
    runs: list[Run] = []
    base = free_ports(10)

    def run(moods: str, home: str = "home", port_base: int = base, **environment: str) -> Run:
        runs.append(Run(tmp_path / home, port_base, moods, **environment))
        return runs[-1]

    yield run
    for one in runs:
        one.process.kill()
        one.process.wait()


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def open_files(pid: int) -> set[Path]:
    return {file.readlink() for file in Path(f"/proc/{pid}/fd").iterdir()}


def marked(events: list[str], what: str) -> list[str]:
    return [event.split()[1] for event in events if event.startswith(f"{what} ")]


async def test_each_stage_starts_when_the_one_before_is_ready_and_they_stop_in_reverse(start: Start) -> None:
    run = start("first=well,second=well,third=well")
    await run.ready()

    order = list(dict.fromkeys(event for event in run.events))
    assert order == [f"{what} {name}" for name in ("first", "second", "third") for what in ("started", "asked")]

    run.signal(signal.SIGTERM)
    assert await run.exit_code() == 0
    assert marked(run.events, "asked-to-end") == ["third", "second", "first"]


async def test_stack_json_is_there_while_the_stack_is_ready_and_for_its_owner_alone(start: Start) -> None:
    run = start("first=well,second=unready", READY="5")
    assert await run.exit_code() == 1
    assert run.info is None

    run = start("first=well,second=well")
    await run.ready()
    assert (run.home / "stack.json").stat().st_mode & 0o777 == 0o600
    assert run.home.stat().st_mode & 0o777 == 0o700
    pids = run.pids
    assert set(pids) == {"first", "second"}
    assert all(alive(pid) for pid in pids.values())

    run.signal(signal.SIGINT)
    assert await run.exit_code() == 0
    assert run.info is None
    assert not any(alive(pid) for pid in pids.values())


async def test_a_child_that_dies_is_replaced_and_said_so(start: Start) -> None:
    run = start("first=well,second=well")
    await run.ready()
    before = run.pids

    os.kill(before["first"], signal.SIGKILL)

    await until(lambda: "first is back" in run.screen, "the child's return")
    assert run.pids["first"] != before["first"]
    assert run.pids["second"] == before["second"]
    assert alive(run.pids["first"])
    (said,) = [line for line in run.screen.splitlines() if line.startswith("first ended")]
    assert "killed by SIGKILL" in said
    assert str(run.home / "logs" / "first.log") in said


async def test_a_part_that_does_not_become_ready_ends_the_start_with_its_log(start: Start) -> None:
    run = start("first=well,second=crashing")

    assert await run.exit_code() == 1
    *_, tail, line = run.screen.splitlines()
    assert tail.strip() == "the flux capacitor is empty"
    assert line.startswith("second did not start: exit code 1; log: ")
    assert marked(run.events, "asked-to-end") == ["first"]


async def test_a_part_that_hangs_is_given_up_at_its_deadline_with_what_it_answered(start: Start) -> None:
    run = start("first=unready", READY="5")

    assert await run.exit_code() == 1
    assert 'first did not start: not ready within 5 s (/ answered 503 {"status": "unwell"})' in run.screen


async def test_a_port_in_use_is_named_and_nothing_starts(start: Start) -> None:
    # Not any free port: the one below it must be free, too.
    port = free_ports(2) + 1
    with socket.create_server(("127.0.0.1", port)):
        run = start("first=well,second=well", port_base=port - 1)
        assert await run.exit_code() == 1

    assert run.screen.startswith(f"port {port} for second is in use")
    assert len(run.screen.splitlines()) == 1
    assert run.events == []


async def test_a_second_stack_on_the_same_home_is_refused_and_harms_nothing(start: Start) -> None:
    first = start("first=well")
    await first.ready()

    second = start("first=well", port_base=free_ports(10))

    assert await second.exit_code() == 1
    assert second.screen == f"a stack is running in {first.home} already, as process {first.process.pid}\n"
    assert first.info is not None
    assert alive(first.pids["first"])


async def test_a_supervisor_killed_takes_its_children_along_and_the_next_one_starts_at_once(start: Start) -> None:
    run = start("first=well,second=stubborn")
    await run.ready()
    before = run.pids

    run.process.kill()
    await until(lambda: not any(alive(pid) for pid in before.values()), "the children's end")
    assert run.info is not None, "nobody was left to remove it"

    run = start("first=well,second=well")
    await run.ready()
    assert set(run.pids) == {"first", "second"}
    assert not set(run.pids.values()) & set(before.values())


async def test_a_home_is_free_only_when_the_last_child_of_a_former_run_is_gone(start: Start) -> None:
    run = start("first=well")
    await run.ready()
    child = run.pids["first"]

    # Children die so soon that a leftover can't be caught in the act; what keeps the home taken is this descriptor.
    assert run.home / "lock" in open_files(child)


async def test_a_child_deaf_to_sigterm_is_killed_after_the_grace(start: Start) -> None:
    run = start("first=well,second=stubborn", GRACE="2")
    await run.ready()

    run.signal(signal.SIGTERM)

    assert await run.exit_code() == 0
    assert "second did not end within 2 s and was killed" in run.screen
    assert marked(run.events, "asked-to-end") == ["second", "first"]


async def test_a_second_interrupt_kills_at_once(start: Start) -> None:
    run = start("first=stubborn,second=stubborn", GRACE="60")
    await run.ready()

    run.signal(signal.SIGINT)
    await until(lambda: "asked-to-end second" in run.events, "the orderly stop under way")
    run.signal(signal.SIGINT)

    assert await run.exit_code() == 0
    assert run.info is None


async def test_an_interrupt_during_the_start_ends_it_in_order(start: Start) -> None:
    run = start("first=well,second=unready")
    await until(lambda: "started second" in run.events, "a start half done")

    run.signal(signal.SIGINT)

    assert await run.exit_code() == 0
    assert run.info is None
    assert marked(run.events, "asked-to-end")[-1] == "first"


async def test_children_get_a_clean_environment(start: Start) -> None:
    run = start("first=well", MEMSTREAM_INGEST_PORT="1", HTTP_PROXY="http://elsewhere", PYTHONPATH="/nowhere")
    await run.ready()

    names = (run.home / "logs" / "first.log").read_text().split()
    assert {"PATH", "PYTHONUNBUFFERED", "NAME"} <= set(names)
    assert not {"MEMSTREAM_INGEST_PORT", "HTTP_PROXY", "PYTHONPATH"} & set(names)


async def test_replicas_share_a_port_and_each_has_to_listen(start: Start) -> None:
    run = start("twin-1=well,twin-2=well")
    await run.ready()
    assert set(run.pids) == {"twin-1", "twin-2"}
    run.signal(signal.SIGTERM)
    assert await run.exit_code() == 0

    run = start("twin-1=well,twin-2=crashing", home="other")
    assert await run.exit_code() == 1
    assert "twin-2 did not start: exit code 1" in run.screen


async def test_a_home_keeps_to_its_model(start: Start) -> None:
    run = start("first=well")
    await run.ready()
    run.signal(signal.SIGTERM)
    await run.exit_code()

    run = start("first=well", MODEL="wordllama")

    assert await run.exit_code() == 1
    assert "was filled with --model minilm, not wordllama" in run.screen


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


class MortalProcess:
    """A child that is ready at once and lives for so many seconds."""

    def __init__(self, clock: FakeClock, life: float) -> None:
        self.pid = 1
        self.exit_code: int | None = None
        self._clock = clock
        self._life = life

    async def wait(self) -> int:
        self._clock.seconds += self._life
        self.exit_code = 3
        return 3


async def test_a_child_that_keeps_dying_is_started_ever_more_rarely_until_it_stays_well_for_a_while() -> None:
    clock = FakeClock()
    lives = iter([1.0, 1.0, 1.0, 1.0, 100.0, 1.0])
    ended = asyncio.Event()

    async def spawn(_child: ProcessSpec) -> Process:
        life = next(lives, None)
        if life is None:
            ended.set()
            await asyncio.Event().wait()
        return cast("Process", MortalProcess(clock, life or 0.0))

    async def ready(_port: int) -> None:
        return None

    keeper = ProcessSupervisor(
        ProcessSpec("part", ("true",), probe=ready),
        spawn=spawn,
        log=Path("part.log"),
        timeouts=Timeouts(),
        clock=clock,
        rng=Random(1),  # noqa: S311 - jitter
        say=lambda _line: None,
        on_replaced=lambda: None,
    )
    await keeper.start()
    keeping = asyncio.create_task(keeper.supervise())
    await ended.wait()
    keeping.cancel()

    bounds = [0.2, 0.4, 0.8, 1.6, 0.2, 0.4]
    assert all(bound / 2 <= slept <= bound for slept, bound in zip(clock.slept, bounds, strict=True))
