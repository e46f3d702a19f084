"""The folder a stack lives in: what it holds, and whose turn it is."""

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from memstream.contracts.stack import Stack
from memstream.local.stack.failure import CannotStart
from memstream.runtime.clock import Clock
from memstream.runtime.deadline import Deadline

_LEFTOVERS_WITHIN = 5.0
_LOG_BYTES = 10 * 1024 * 1024

Document = TypeVar("Document", bound=BaseModel)


class Keys(BaseModel):
    """`keys.json`: made at the first start, and the same ever after."""

    tenant: str = "local"
    api_key: str
    admin_key: str


class Origin(BaseModel):
    """`home.json`: what the home was filled with."""

    model: str


class Home:
    """A stack's folder. Only its owner can look into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.stack_file = self.folder / "stack.json"
        self.keys_file = self.folder / "keys.json"
        self.origin_file = self.folder / "home.json"
        self.logs = self.folder / "logs"
        self.redis = self.folder / "redis"
        self.qdrant = self.folder / "qdrant"

    def create(self) -> None:
        """Make the folders that are not there yet.

        Raises:
            CannotStart: they can't be made.

        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in (self.logs, self.redis, self.qdrant):
                part.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CannotStart(f"{error.filename} can't be made: {error.strerror}") from error

    @asynccontextmanager
    async def locked(self, clock: Clock) -> AsyncIterator[int]:
        """Hold the home; gives the descriptor that children inherit.

        The lock is the kernel's and ends with the last process that holds it: while a child of a supervisor that was
        killed is still dying, the home is still taken, so two stacks never write to it.

        Raises:
            CannotStart: another stack runs in it.

        """
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = Deadline(clock, _LEFTOVERS_WITHIN)
            while not _try_lock(descriptor):
                holder = _holder(descriptor)
                if holder is not None:
                    raise CannotStart(f"a stack is running in {self.folder} already, as process {holder}")
                if deadline.passed:
                    raise CannotStart(f"processes of a former run still use {self.folder}: end them first")
                await clock.sleep(0.05)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield descriptor
        finally:
            os.close(descriptor)

    def settle_model(self, model: str) -> None:
        """Remember what the home is filled with.

        Raises:
            CannotStart: it was filled with another model.

        """
        if not self.origin_file.exists():
            write_private(self.origin_file, Origin(model=model))
            return
        former = _read(self.origin_file, Origin).model
        if former != model:
            raise CannotStart(
                f"{self.folder} was filled with --model {former}, not {model}: use {former}, or another --home"
            )

    def keys(self) -> Keys:
        """Give the keys, once they were made.

        Raises:
            CannotStart: they can't be read.

        """
        return _read(self.keys_file, Keys)

    def publish(self, stack: Stack) -> None:
        """Write `stack.json`."""
        write_private(self.stack_file, stack)

    def withdraw(self) -> None:
        """Remove `stack.json`."""
        self.stack_file.unlink(missing_ok=True)

    def log_of(self, name: str) -> Path:
        """Name the log of a child."""
        return self.logs / f"{name}.log"

    def rotate_logs(self) -> None:
        """Set aside the logs over 10 MiB."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > _LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))


def write_private(path: Path, document: BaseModel) -> None:
    """Write a document whole or not at all, for its owner's eyes only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(document.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read(path: Path, kind: type[Document]) -> Document:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CannotStart(f"{path} can't be read: {error.strerror}") from error
    except ValidationError as error:
        raise CannotStart(f"{path} is damaged: restore it, or use another --home") from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> int | None:
    """Give the supervisor that took the lock, if it is alive."""
    try:
        pid = int(os.pread(descriptor, 20, 0))
        os.kill(pid, 0)
    except PermissionError:
        return pid
    except (ValueError, ProcessLookupError):
        return None
    return pid
