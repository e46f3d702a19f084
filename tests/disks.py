"""A disk of a server's own, which can be full and slow: a file system in a file."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from hosts import run
from waiting import until

_THROTTLES = Path("/sys/fs/cgroup/blkio")
"""Of control groups in version 1. A device's limit is that of the processes in the group."""
_TOOLS = ("losetup", "mkfs.ext4", "mount", "umount")
_ENTER = 'echo $$ > "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that is mounted."""

    path: Path
    group: Path
    device: str
    """Its numbers, such as `7:0`."""

    @property
    def enter(self) -> tuple[str, ...]:
        """What stands before a command for which it may be slow."""
        return ("sh", "-c", _ENTER, str(self.group / "cgroup.procs"))

    def fill(self) -> None:
        """Leave no room."""
        rest = os.statvfs(self.path)
        ballast = os.open(self._ballast, os.O_CREAT | os.O_WRONLY)
        try:
            os.posix_fallocate(ballast, 0, rest.f_bavail * rest.f_frsize)
        except OSError:
            # What a file system needs for itself to have such a file.
            os.posix_fallocate(ballast, 0, max(1, (rest.f_bavail - 64) * rest.f_frsize))
        finally:
            os.close(ballast)

    def make_room(self) -> None:
        """Let there be room again."""
        self._ballast.unlink(missing_ok=True)

    def slow_down(self, writes: int) -> None:
        """Let it do so many writes a second."""
        (self.group / "blkio.throttle.write_iops_device").write_text(f"{self.device} {writes}")

    def speed_up(self) -> None:
        """Let it be as fast as it is."""
        self.slow_down(0)

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"


def missing_for_disks() -> str | None:
    """Name what it takes to make disks and isn't there; None if nothing is missing."""
    if not (_THROTTLES / "blkio.throttle.write_iops_device").exists():
        return "control groups in version 1 that limit a device's writes, to make a disk slow"
    lacking = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"the command {lacking[0]}" if lacking else None


@contextlib.asynccontextmanager
async def mounted(path: Path, name: str, megabytes: int) -> AsyncIterator[Disk]:
    """Mount an empty disk; `name` is one that no other has."""
    image, group = _prepare(path, megabytes), _THROTTLES / name
    # Nothing is kept for root, which servers of tests are.
    await run("mkfs.ext4", "-q", "-m", "0", str(image))
    device = ""
    try:
        await run("mount", "-o", "loop", str(image), str(path))
        device = _device_of(path)
        group.mkdir()
        yield Disk(path, group, device)
    finally:
        if device:
            await until(lambda: _remove(group), f"nobody is in {name}")
            # Lazily: a process that was just killed may still be leaving.
            await run("umount", "--lazy", str(path))
        image.unlink()


def _prepare(path: Path, megabytes: int) -> Path:
    path.mkdir(parents=True)
    image = path.with_suffix(".disk")
    with image.open("wb") as file:
        file.truncate(megabytes * 2**20)
    return image


def _device_of(path: Path) -> str:
    number = path.stat().st_dev
    return f"{os.major(number)}:{os.minor(number)}"


def _remove(group: Path) -> bool:
    """Remove a control group, if the kernel has seen its last process leave."""
    try:
        group.rmdir()
    except OSError:
        return not group.exists()
    return True
