"""The stores that keep bytes of what was deleted: Redis' streams and files, and Qdrant's files."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis.exceptions

from memstream.contracts import keys
from memstream.contracts.messages import StoreName
from memstream.embedder.compactions import Kept, after_window
from memstream.embedder.purges import State
from memstream.runtime.errors import GlobalFault, Rejected, Unavailable
from memstream.streams.connections import Redis, decoded, primaries, redis_faults
from memstream.vectors.store import Residue

_log = logging.getLogger(__name__)

_BLOCK_ENTRIES = 100
"""The server's default of `stream-node-max-entries`, where it does not say."""

_REWRITE_EVERY = 60
"""Seconds between two rewrites of the append-only file at the least."""

_REWRITE_REST = 20
"""How many times longer than the last rewrite took until the next one."""


class StreamBlocks:
    """Blocks of entries in the memory of Redis. One is freed when all its entries are removed or trimmed."""

    name: StoreName = "streams"

    def __init__(self, client: Redis, streams: Sequence[str], window: timedelta) -> None:
        self._client = client
        self._streams = streams
        self._window = window
        self._block = _BLOCK_ENTRIES
        self._info: dict[str, dict[str, Any]] = {}

    async def look(self) -> None:
        """See `CompactedStore`."""
        with redis_faults():
            try:
                servers = await primaries(self._client)
                answers: list[Any] = [await server.config_get("stream-node-max-entries") for server in servers]
                # 0 is no limit.
                self._block = max(int(answer["stream-node-max-entries"]) or 2**63 for answer in answers)
            except redis.exceptions.ResponseError:
                pass  # It is not permitted everywhere.
            for stream in self._streams:
                try:
                    self._info[stream] = await self._client.xinfo_stream(stream)
                except redis.exceptions.ResponseError:
                    self._info.pop(stream, None)

    def begin(self, kept: Kept) -> State | None:
        """See `CompactedStore`."""
        if not kept:
            return None
        streams = {stream: {"added": self._added(stream), "beyond": None} for stream in kept}
        is_trimmed = not any(stream.endswith(":dead") for stream in kept)
        return {"until": after_window(max(kept.values()), self._window) if is_trimmed else None, "streams": streams}

    def check(self, state: State) -> State | None:
        """See `CompactedStore`.

        A block is known to be gone when the stream begins with an entry that was added a whole block later.
        """
        left = {}
        for stream, one in state["streams"].items():
            info = self._info.get(stream)
            if info is None or not info["length"]:
                continue
            beyond = one["beyond"]
            if beyond is None and self._added(stream) >= one["added"] + self._block:
                beyond = decoded(info["last-generated-id"])
            first = decoded(info["first-entry"][0])
            if beyond is None or keys.entry_order(first) < keys.entry_order(beyond):
                left[stream] = {"added": one["added"], "beyond": beyond}
        return {"until": state["until"], "streams": left} if left else None

    async def compact(self) -> None:
        """Leave that to the trimming."""

    def _added(self, stream: str) -> int:
        info = self._info.get(stream)
        return int(info["entries-added"]) if info is not None else 0


@dataclass(frozen=True, slots=True)
class FileFields:
    """What `INFO` says of one of Redis' files."""

    store: StoreName
    writes: str
    """How many times it was begun to be written."""
    status: str
    busy: tuple[str, ...]
    seconds: str


APPEND_ONLY_FILE = FileFields(
    "append_only_file",
    "aof_rewrites",
    "aof_last_bgrewrite_status",
    ("aof_rewrite_in_progress", "aof_rewrite_scheduled"),
    "aof_last_rewrite_time_sec",
)
SNAPSHOT = FileFields(
    "snapshots", "rdb_saves", "rdb_last_bgsave_status", ("rdb_bgsave_in_progress",), "rdb_last_bgsave_time_sec"
)


@dataclass(frozen=True, slots=True)
class _FileOfServer:
    """How far a file of one server is."""

    server: Redis
    writes: int
    is_busy: bool
    is_ok: bool
    seconds: int
    """How long it took to write it last."""


class RedisFile:
    """A file of Redis, which has the bytes of removed entries until it is written anew from memory.

    Each server of a cluster has one. What is remembered of a purge is how often each had been written, by the name of
    the server's run; None once it is clean.
    """

    def __init__(self, client: Redis, fields: FileFields) -> None:
        self.name = fields.store
        self._client = client
        self._fields = fields
        self._files: dict[str, _FileOfServer] = {}
        self._wanted: set[str] = set()
        self._is_refused = False

    async def look(self) -> None:
        """See `CompactedStore`."""
        self._files, self._wanted = {}, set()
        with redis_faults():
            for server in await primaries(self._client):
                info: Any = await server.info("persistence")
                if await self._is_used(server, info):
                    self._files[str((await server.info("server"))["run_id"])] = self._read(server, info)

    async def _is_used(self, server: Redis, info: Mapping[str, Any]) -> bool:
        if self.name == "append_only_file":
            return bool(info["aof_enabled"])
        try:
            return bool((await server.config_get("save"))["save"]) or bool(info.get("rdb_saves"))
        except redis.exceptions.ResponseError:
            return True

    def _read(self, server: Redis, info: Mapping[str, Any]) -> _FileOfServer:
        return _FileOfServer(
            server,
            writes=int(info.get(self._fields.writes, 0)),
            is_busy=any(info.get(field) for field in self._fields.busy),
            is_ok=info.get(self._fields.status) == "ok",
            seconds=int(info.get(self._fields.seconds, 0)),
        )

    def begin(self, kept: Kept) -> State | None:  # noqa: ARG002 - whatever was removed was written to the file
        """See `CompactedStore`."""
        self._wanted |= self._files.keys()
        return {"writes": {run: file.writes for run, file in self._files.items()}} if self._files else None

    def check(self, state: State) -> State | None:
        """See `CompactedStore`.

        A file is clean when it was written from a memory without the entries: it was begun after they were removed,
        and has ended. A server that was started anew counts from zero, and one that is new has all to do.
        """
        # As an earlier release wrote it, of one server.
        before = {state["run"]: state["writes"]} if "run" in state else state["writes"]
        after: dict[str, int | None] = {}
        for run, file in self._files.items():
            writes = before.get(run, file.writes)
            if writes is not None and file.writes > writes and not file.is_busy and file.is_ok:
                writes = None
            after[run] = writes
            if writes is not None and not file.is_busy:
                self._wanted.add(run)
        return None if all(writes is None for writes in after.values()) else {"writes": after}

    async def compact(self) -> None:
        """Have the append-only files rewritten, seldom enough that it takes a small part of the time."""
        if self.name != "append_only_file" or not self._wanted or self._is_refused:
            return
        files = [self._files[run] for run in self._wanted]
        rest = max(_REWRITE_EVERY, *(_REWRITE_REST * file.seconds for file in files))
        with redis_faults():
            if not await self._client.set(keys.REWRITTEN, "1", nx=True, ex=rest):
                return
            for file in files:
                await self._rewrite(file.server)

    async def _rewrite(self, server: Redis) -> None:
        try:
            await server.bgrewriteaof()
        except redis.exceptions.NoPermissionError:
            self._refused()
        except redis.exceptions.ResponseError as error:
            if "unknown command" in str(error).lower():
                self._refused()

    def _refused(self) -> None:
        self._is_refused = True
        _log.warning("BGREWRITEAOF is not permitted: erased words stay in the append-only file until Redis rewrites it")


class QdrantFiles:
    """Segments and write-ahead log of Qdrant, which have the bytes of deleted points until they are rewritten."""

    name: StoreName = "qdrant"

    def __init__(self, ask: Callable[[], Awaitable[Residue | None]]) -> None:
        self._ask = ask
        self._residue: Residue | None = None
        self._answers = False

    async def look(self) -> None:
        """See `CompactedStore`. What is done in Redis does not wait for Qdrant."""
        try:
            self._residue = await self._ask()
            self._answers = True
        except (Unavailable, GlobalFault, Rejected) as error:
            self._answers = False
            _log.warning("Qdrant does not say what its files hold: %s", type(error).__name__)

    def begin(self, kept: Kept) -> State | None:  # noqa: ARG002 - whatever was removed was written to the file
        """See `CompactedStore`."""
        return self.check({})

    def check(self, state: State) -> State | None:  # noqa: ARG002 - Qdrant tells it anew each time
        """See `CompactedStore`."""
        if not self._answers:
            return {"until": None}
        if self._residue is None:
            # A Qdrant server does not tell what its files hold.
            return {"is_final": True}
        clean_by = self._residue.clean_by
        return None if clean_by is None else {"until": clean_by.isoformat()}

    async def compact(self) -> None:
        """Leave that to Qdrant, which does it by itself."""
