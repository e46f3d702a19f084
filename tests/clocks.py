"""A host's clock that a test sets: libfaketime, which Debian's package of that name has."""

from pathlib import Path

_LIBRARIES = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
)


def missing_for_clocks() -> str | None:
    """Name what it takes to set a host's clock and isn't there; None if nothing is missing."""
    return None if any(library.exists() for library in _LIBRARIES) else "libfaketime"


_SHARED = Path("/dev/shm")  # noqa: S108 - where the library keeps its own


def remove_leftovers() -> None:
    """Remove what the library leaves behind of processes that were killed."""
    for pattern in ("faketime_shm_*", "sem.faketime_sem_*"):
        for path in _SHARED.glob(pattern):
            if not Path("/proc", path.name.rpartition("_")[2]).exists():
                path.unlink(missing_ok=True)


class HostClock:
    """The time of day for processes that are started with its variables; spans of time stay as they are."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0.0)

    @property
    def variables(self) -> dict[str, str]:
        """What processes are started with."""
        return {
            "LD_PRELOAD": str(next(library for library in _LIBRARIES if library.exists())),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead: float) -> None:
        """Let it be so many seconds ahead; below zero, behind."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead:+.3f}s\n")
        new.replace(self._file)
