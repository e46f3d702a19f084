"""The consumer: reads new stream entries with FastStream, undecoded.

What FastStream 0.7.8 doesn't promise is done elsewhere: the groups are created before (`create_groups`), entries are
decoded one by one (`jobs`), acknowledged one by one (`settlement`), and taken over when pending (`leases`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from faststream import AckPolicy
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.configs import RedisConnectionState
from faststream.redis.message import BatchStreamMessage, RedisBatchStreamMessage

from memstream.contracts import keys
from memstream.embedder.jobs import Delivery
from memstream.embedder.streams import SourceStream
from memstream.runtime.errors import Unavailable
from memstream.streams.connections import Redis, connect, decoded, redis_faults

_log = logging.getLogger(__name__)

MAX_ENTRIES_PER_READ = 512
"""Without a bound, FastStream delivers a whole backlog as one batch. Each read takes some turns of the event loop."""

_POLL_MS = 1000
"""How long a read waits for something new."""

_SOCKET_TIMEOUT_SECONDS = 5.0
"""How long a read waits for an answer before it gives the connection up."""

DISABLE_FASTSTREAM_SUPERVISOR = "FASTSTREAM_SUPERVISOR_DISABLED"
"""An environment variable. Set to 1, a failed read loop ends; otherwise FastStream restarts it at once, thousands of
times a second. `Subscriptions.failed_streams` then names it, and the process ends."""

_NO_REASON = "perhaps because its consumer group was deleted"

Offer = Callable[[Sequence[Delivery]], Awaitable[None]]


class _Connection(RedisConnectionState):
    """The client that everything else here uses, in the place of FastStream's own."""

    def __init__(self, open_client: Callable[[], Redis]) -> None:
        super().__init__()
        self._open_client = open_client

    async def connect(self) -> Redis:
        self._client = self._open_client()
        self._connected = True
        return self._client


class _Broker(RedisBroker):
    """FastStream's broker, by our connections: they know where Redis is after a failover, and of a cluster's nodes."""

    def __init__(self, open_client: Callable[[], Redis], **options: Any) -> None:  # noqa: ANN401 - the library's own
        self._open_client = open_client
        super().__init__(**options)

    def _make_connection_state(self, *_: object) -> _Connection:
        return _Connection(self._open_client)


class Subscriptions:
    """Reads new entries of all streams, for as long as `offer` takes them."""

    def __init__(  # noqa: PLR0913 - named arguments, set in one place
        self,
        url: str,
        sources: Sequence[SourceStream],
        *,
        ca_file: Path | None = None,
        consumer: str,
        offer: Offer,
        read_entries: int,
    ) -> None:
        # FastStream logs a line per batch at this level: DEBUG, so that they don't appear. Errors are logged as errors.
        self._broker = _Broker(
            # A reader waits in its connection, so each has one.
            partial(connect, url, ca_file=ca_file, timeout=_SOCKET_TIMEOUT_SECONDS, connections=2 * len(sources)),
            apply_types=False,
            graceful_timeout=0,
            logger=_log,
            log_level=logging.DEBUG,
        )
        self._started = False
        self._read_entries = read_entries
        self._subscribers = [self._subscribe(source, consumer, offer) for source in sources]

    def _subscribe(self, source: SourceStream, consumer: str, offer: Offer) -> Any:  # noqa: ANN401 - FastStream's own type is not public
        subscriber = self._broker.subscriber(
            stream=StreamSub(
                source.name,
                group=keys.GROUP,
                consumer=consumer,
                batch=True,
                max_records=self._read_entries,
                polling_interval=_POLL_MS,
            ),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            parser=_pass_through,
            decoder=_undecoded,
        )

        async def hand_over(raw: BatchStreamMessage) -> None:
            entries = zip(raw["message_ids"], raw["data"], strict=True)
            await offer([source.delivery(decoded(entry_id), fields) for entry_id, fields in entries])

        subscriber(hand_over)
        return subscriber

    async def start(self) -> None:
        """Start reading. The groups must exist.

        Raises:
            Unavailable: Redis is out of reach; it may be tried again.

        """
        try:
            with redis_faults():
                await self._broker.start()
        except Unavailable:
            await self.stop()
            raise
        self._started = True

    async def stop(self) -> None:
        """Stop reading."""
        self._started = False
        # The broker would close the connections of readers that have not ended, and these would open others.
        readers = [task for subscriber in self._subscribers for task in subscriber.tasks]
        for subscriber in self._subscribers:
            await subscriber.stop()
        await asyncio.gather(*readers, return_exceptions=True)
        await self._broker.stop()

    def failed_streams(self) -> list[str]:
        """Return the streams whose reading stopped unexpectedly, each with the reason if it is known."""
        return [
            f"{subscriber.stream_sub.name} ({'; '.join(_reasons(subscriber.tasks)) or _NO_REASON})"
            for subscriber in self._subscribers
            if self._started and (not subscriber.running or any(task.done() for task in subscriber.tasks))
        ]


def _reasons(tasks: "Sequence[asyncio.Task[Any]]") -> list[str]:
    return [str(task.exception() or "ended") for task in tasks if task.done() and not task.cancelled()]


async def _pass_through(raw: BatchStreamMessage) -> RedisBatchStreamMessage:
    return RedisBatchStreamMessage(raw_message=raw, body=b"", consumer=cast("Any", None), group=keys.GROUP)


async def _undecoded(message: RedisBatchStreamMessage) -> BatchStreamMessage:
    return message.raw_message
