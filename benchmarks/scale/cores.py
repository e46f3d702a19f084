"""A share of a core for each host, by control groups of either version."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PERIOD_MICROSECONDS = 20_000
_FIRST = Path("/sys/fs/cgroup/cpu")
_SECOND = Path("/sys/fs/cgroup")
_MOST = {"cpu.shares": 262_144, "cpu.weight": 10_000}


@dataclass(slots=True)
class Cores:
    """Groups of processes, each of which gets no more than a share of a core."""

    root: Path
    share: float

    def hold(self, name: str, pid: int) -> None:
        """Give a process, with all its threads, the share before other programs get theirs, and no more."""
        group = self.root / name
        if not group.exists():
            group.mkdir()
            _prefer(group)
            quota = round(self.share * _PERIOD_MICROSECONDS)
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")
            else:
                (group / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
        (group / "cgroup.procs").write_text(str(pid))


def _prefer(group: Path) -> None:
    """Give a group the largest weight that there is."""
    for name, most in _MOST.items():
        if (group / name).exists():
            (group / name).write_text(str(most))


def missing_control() -> str | None:
    """Return what is missing to hold hosts to a share of a core; None if nothing is."""
    if os.geteuid() != 0:
        return "a share of a core takes control groups, and only root makes them: run as root, or with --share 0"
    if not _is_first() and "cpu" not in _controlled():
        return "a share of a core takes the CPU controller of control groups, which is not there: use --share 0"
    return None


@contextlib.contextmanager
def shared_cores(share: float) -> Iterator[Cores]:
    """Make groups with this share of a core; they are removed once their processes have ended."""
    root = (_FIRST if _is_first() else _SECOND) / f"msb{os.getpid()}"
    root.mkdir()
    _prefer(root)
    if not _is_first():
        (root / "cgroup.subtree_control").write_text("+cpu")
    try:
        yield Cores(root, share)
    finally:
        for group in [*(path for path in root.iterdir() if path.is_dir()), root]:
            group.rmdir()


def _is_first() -> bool:
    return (_FIRST / "cpu.cfs_quota_us").exists()


def _controlled() -> list[str]:
    file = _SECOND / "cgroup.subtree_control"
    return file.read_text().split() if file.exists() else []
