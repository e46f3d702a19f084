"""Hosts that are cut off, disks that are full, and clocks that are set."""

import asyncio
import contextlib
import os
import sys
from functools import partial
from pathlib import Path

import pytest
from clocks import HostClock, missing_for_clocks
from disks import missing_for_disks, mounted
from hosts import Direction, Host, missing_for_hosts, networked
from ports import range_number
from waiting import until

_PORT = 7_000
_SECONDS = 0.5
"""Until an answer that is lost is given up."""
_ECHO = f"""
import socket, sys
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind((sys.argv[1], {_PORT}))
print("ready", flush=True)
while True:
    data, sender = here.recvfrom(100)
    print(data.decode(), flush=True)
    try:
        here.sendto(data, sender)
    except OSError:
        pass  # it is cut off
"""


class Echo:
    """A process on a host that answers with what it is sent, and writes it down."""

    def __init__(self, host: Host, process: asyncio.subprocess.Process) -> None:
        self._host = host
        self._process = process

    async def ask(self, word: str) -> tuple[bool, bool]:
        """Send a word; return whether it was heard there, and whether the answer came."""
        loop = asyncio.get_running_loop()
        answered = loop.create_future()

        class Answer(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
                if not answered.done():
                    answered.set_result(data)

        transport, _ = await loop.create_datagram_endpoint(Answer, remote_addr=(self._host.address, _PORT))
        transport.sendto(word.encode())
        try:
            heard = await self._hears(word)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(answered, _SECONDS)
            return heard, answered.done() and not answered.cancelled()
        finally:
            transport.close()

    async def _hears(self, word: str) -> bool:
        """Say whether it writes this word down; what it wrote late, of words before, is passed over."""
        assert self._process.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                while (await self._process.stdout.readline()).decode().strip() != word:
                    pass
                return True
        return False


@pytest.mark.parametrize(
    ("direction", "expected"), [("both", (False, False)), ("in", (False, False)), ("out", (True, False))]
)
async def test_a_host_is_cut_off_and_joins_again(direction: Direction, expected: tuple[bool, bool]) -> None:
    missing = missing_for_hosts()
    if missing is not None:
        pytest.skip(f"this takes {missing}")
    async with networked(["far"]) as hosts:
        far = hosts["far"]
        process = await asyncio.create_subprocess_exec(
            *far.enter, sys.executable, "-c", _ECHO, far.address, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
            echo = Echo(far, process)
            await until(partial(answers, echo, "before"), "the host answers")
            await far.cut_off(direction)
            assert await echo.ask("meanwhile") == expected
            await far.join()
            await until(partial(answers, echo, "after"), "the host answers again")
        finally:
            process.kill()
            await process.wait()


async def answers(echo: Echo, word: str) -> bool:
    """Say whether a word is heard and answered; on a busy machine that may be late."""
    return await echo.ask(word) == (True, True)


async def test_a_disk_is_full_and_has_room_again(tmp_path: Path) -> None:
    missing = missing_for_hosts() or missing_for_disks()
    if missing is not None:
        pytest.skip(f"this takes {missing}")
    async with mounted(tmp_path / "disk", f"ms-test-{range_number()}-disk", 16) as disk:
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            _write(disk.path / "file", 100_000)
        disk.make_room()
        _write(disk.path / "file", 100_000)


def _write(path: Path, size: int) -> None:
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        for _ in range(size // 1000):
            os.write(file, bytes(1000))
        os.fsync(file)
    finally:
        os.close(file)


async def test_a_clock_is_set_for_the_processes_of_a_host(tmp_path: Path) -> None:
    missing = missing_for_clocks()
    if missing is not None:
        pytest.skip(f"this takes {missing}")
    clock = HostClock(tmp_path / "clock")
    clock.set(-7200)
    told = "import time; print(time.time() - float(__import__('sys').argv[1]))"
    here = str((tmp_path / "clock").stat().st_mtime)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", told, here),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **clock.variables},
    )
    output, _ = await process.communicate()
    assert -7200 <= float(output) < -7100
