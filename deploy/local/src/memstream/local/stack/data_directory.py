"""The data directory of a local stack: its files, and the lock that lets one stack at a time use it."""

import fcntl
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from memstream.contracts.stack import Stack
from memstream.local.stack.failure import CannotStart
from memstream.runtime.clock import Clock
from memstream.runtime.deadline import Deadline

_ORPHANS_TIMEOUT = 5.0
_LOG_BYTES = 10 * 1024 * 1024
_SECRET_BYTES = 32

Document = TypeVar("Document", bound=BaseModel)


class Keys(BaseModel):
    """`keys.json`: API keys, created at the first start and kept."""

    tenant: str = "local"
    api_key: str
    admin_key: str


class ServerSecrets(BaseModel):
    """`secrets.json`: what the embedded servers ask of their clients, created at the first start and kept."""

    redis_password: str
    qdrant_api_key: str
    embeddings_api_key: str


class DirectoryInfo(BaseModel):
    """`home.json`: the embedding model that the stored vectors come from."""

    model: str


class DataDirectory:
    """The data directory of a stack. Only its owner has access."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.stack_file = self.path / "stack.json"
        self.keys_file = self.path / "keys.json"
        self.secrets_file = self.path / "secrets.json"
        self.redis_config = self.path / "redis.conf"
        self.info_file = self.path / "home.json"
        self.logs = self.path / "logs"
        self.redis = self.path / "redis"
        self.qdrant = self.path / "qdrant"

    def create(self) -> None:
        """Create the directories that are missing, and take away everybody else's access to those that exist.

        Raises:
            CannotStart: they can't be created, or belong to others.

        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.stat().st_mode & stat.S_ISVTX:
                raise CannotStart(f"{self.path} is shared with other users: choose another --home")
            self.path.chmod(0o700)
            for part in (self.logs, self.redis, self.qdrant):
                part.mkdir(mode=0o700, exist_ok=True)
                part.chmod(0o700)
        except OSError as error:
            raise CannotStart(f"{error.filename} can't be created for this user alone: {error.strerror}") from error

    @asynccontextmanager
    async def locked(self, clock: Clock) -> AsyncIterator[int]:
        """Lock the directory, and yield the lock's file descriptor, which processes inherit.

        The kernel releases the lock when the last process that holds it has ended. So two stacks never write to the
        directory, even while processes of a supervisor that was killed are still ending.

        Raises:
            CannotStart: another stack uses the directory.

        """
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = Deadline(clock, _ORPHANS_TIMEOUT)
            while not _try_lock(descriptor):
                holder = _holder(descriptor)
                if holder is not None:
                    raise CannotStart(f"a stack is running in {self.path} already, as process {holder}")
                if deadline.passed:
                    raise CannotStart(f"processes of a former run still use {self.path}: end them first")
                await clock.sleep(0.05)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield descriptor
        finally:
            os.close(descriptor)

    def require_model(self, model: str) -> None:
        """Record the embedding model at the first start; later, check that it is the same.

        Raises:
            CannotStart: the stored vectors come from another model.

        """
        if not self.info_file.exists():
            write_private(self.info_file, DirectoryInfo(model=model))
            return
        former = _read(self.info_file, DirectoryInfo).model
        if former != model:
            raise CannotStart(
                f"{self.path} was filled with --model {former}, not {model}: use {former}, or another --home"
            )

    def keys(self) -> Keys:
        """Return the keys, which must have been created.

        Raises:
            CannotStart: they can't be read.

        """
        return _read(self.keys_file, Keys)

    def create_secrets(self) -> None:
        """Create the embedded servers' secrets if they are missing, and the configuration that gives Redis its own.

        Raises:
            CannotStart: they exist and can't be read.

        """
        if not self.secrets_file.exists():
            drawn = {name: token_hex(_SECRET_BYTES) for name in ServerSecrets.model_fields}
            write_private(self.secrets_file, ServerSecrets(**drawn))
        # A command line can be read by everybody on the machine.
        _write_private(self.redis_config, f"requirepass {self.secrets().redis_password}\n")

    def secrets(self) -> ServerSecrets:
        """Return the embedded servers' secrets, which must have been created.

        Raises:
            CannotStart: they can't be read.

        """
        return _read(self.secrets_file, ServerSecrets)

    def write_stack(self, stack: Stack) -> None:
        """Write `stack.json`."""
        write_private(self.stack_file, stack)

    def remove_stack(self) -> None:
        """Remove `stack.json`."""
        self.stack_file.unlink(missing_ok=True)

    def log_of(self, name: str) -> Path:
        """Return the path of a process' log."""
        return self.logs / f"{name}.log"

    def rotate_logs(self) -> None:
        """Rename logs that are larger than 10 MiB, replacing the ones renamed before."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > _LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))


def write_private(path: Path, document: BaseModel) -> None:
    """Write a document atomically, readable by its owner alone."""
    _write_private(path, document.model_dump_json(indent=2) + "\n")


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
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
    """Return the process id of the supervisor that holds the lock, or None if it has ended."""
    try:
        pid = int(os.pread(descriptor, 20, 0))
        os.kill(pid, 0)
    except PermissionError:
        return pid
    except (ValueError, ProcessLookupError):
        return None
    return pid
