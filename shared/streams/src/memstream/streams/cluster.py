"""A client of a Redis cluster that is used like that of one server, and with `slots` all that knows of a cluster.

redis-py's own cluster client is not used: its pipelines refuse EVALSHA and know no WAITAOF, it sends ASKING by another
connection of its pool than the command that needs it, and a caller that finds all connections busy gets an error.
Here, each node has a client of one server, with the connections, timeouts and retries of that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import redis.asyncio
import redis.exceptions
from redis.crc import key_slot

from memstream.streams.slots import Address, Slots

Redis = redis.asyncio.Redis
Pipeline = redis.asyncio.client.Pipeline

AnswerT = TypeVar("AnswerT")

_Command = tuple[tuple[Any, ...], Mapping[str, Any]]

_ROUNDS = 8
"""How often a command is sent on before it fails. A slot moves once, but nodes learn of it one after the other."""

_WAITS = {"WAIT", "WAITAOF"}
"""Commands that wait for what their connection has written."""

_ON_ALL = {"PING", "SCRIPT LOAD"}
_ON_ANY = {"TIME"}

_UNREACHED = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError)

_Redirection = redis.exceptions.AskError
"""The library's `MovedError` is one, too."""


class ClusterRedis(Redis):
    """Sends each command to the node of its key, and follows slots that move.

    All keys of a command, a script or a transaction share a slot. Only the caller retries: after a node failed, the
    next command asks who has its slots now.
    """

    def __init__(self, seeds: Sequence[Address], open_node: Callable[[str, int], Redis]) -> None:
        self._slots = Slots(seeds, open_node)
        super().__init__(connection_pool=self._slots.node(*seeds[0]).connection_pool)

    async def primaries(self) -> Sequence[Redis]:
        """Return the client of each node that has slots now: one that has none any more would not say so when asked."""
        self._slots.forget()
        return await self._slots.primaries()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: ARG002, FBT001 - the library's
        """Close the connections to all nodes."""
        await self._slots.aclose()

    async def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the library's
        """Run one command."""
        if args[0] in _ON_ALL | _ON_ANY:
            asked = await self.primaries() if args[0] in _ON_ALL else (await self._slots.primaries())[:1]
            sent: Iterable[Awaitable[Any]] = (node.execute_command(*args, **options) for node in asked)  # type: ignore[no-untyped-call] # the library's
            return _answered(await self._together(sent))[0]
        return _answered(await self.send([(args, options)]))[0]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "ClusterPipeline":  # noqa: ARG002, FBT001, FBT002 - the library's
        """Return a pipeline."""
        return ClusterPipeline(self, transaction=transaction)

    async def send(self, commands: Sequence[_Command]) -> list[Any]:
        """Send commands in one round trip, those for one node in order and by one connection.

        Errors are among the answers, also of a node that did not answer. Commands that wait for writes are sent to each
        node, after the others, and their answer is the lowest one.
        """
        waits = [index for index, (args, _) in enumerate(commands) if args[0] in _WAITS]
        left = [index for index in range(len(commands)) if index not in waits]
        answers: dict[int, Any] = {}
        fault: Exception | None = None
        for _ in range(_ROUNDS):
            by_node: dict[tuple[Redis, bool], list[int]] = {}
            for index in left:
                where = await self._where(commands[index], answers.get(index))
                by_node.setdefault(where, []).append(index)
            sent = [
                self._send_to(node, [commands[index] for index in indexes + waits], is_moving=is_moving)
                for (node, is_moving), indexes in by_node.items()
            ]
            for indexes, found in zip(by_node.values(), await self._together(sent), strict=True):
                if isinstance(found, Exception):
                    # The other nodes' answers count. Whether this one wrote anything is not known.
                    answers |= dict.fromkeys(indexes, found)
                    fault = found
                    continue
                for index, answer in zip(indexes + waits, found, strict=True):
                    repeated = index in answers and index in waits
                    answers[index] = _lowest(answers[index], answer) if repeated else answer
            left = [index for index in left if isinstance(answers[index], _Redirection)]
            if not left:
                break
        return [answers.get(index, fault) for index in range(len(commands))]

    async def send_transaction(self, commands: Sequence[_Command], *, raise_on_error: bool) -> list[Any]:
        """Run commands on keys of one slot as a transaction."""
        slot = slot_of(commands)
        for _ in range(_ROUNDS):
            node = await self._slots.node_of(slot)
            try:
                sent = [_execute(node, commands, raise_on_error=raise_on_error)]
                (answers,) = _answered(await self._together(sent))
            except redis.exceptions.MovedError as error:
                # Of a transaction, nothing was done.
                self._slots.note_move(error.slot_id, (error.host, error.port))
            else:
                return answers
        raise redis.exceptions.ConnectionError(f"slot {slot} moves on and on")

    async def _where(self, command: _Command, answer: object) -> tuple[Redis, bool]:
        """Return the node that a command is for, and whether its slot is only on its way to there."""
        if isinstance(answer, redis.exceptions.MovedError):
            self._slots.note_move(answer.slot_id, (answer.host, answer.port))
        elif isinstance(answer, _Redirection):
            return self._slots.node(answer.host, answer.port), True
        return await self._slots.node_of(slot_of([command])), False

    async def _send_to(self, node: Redis, commands: Sequence[_Command], *, is_moving: bool) -> list[Any]:
        async with node.pipeline(transaction=False) as pipe:
            for args, options in commands:
                if is_moving:
                    # It holds for the next command of this connection only.
                    pipe.execute_command("ASKING")
                pipe.execute_command(*args, **options)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
        return answers[1::2] if is_moving else answers

    async def _together(self, calls: Iterable[Awaitable[AnswerT]]) -> list[AnswerT | Exception]:
        """Wait for all calls. Where one did not reach its node, the slots are read anew before the next command."""
        found: list[AnswerT | Exception] = []
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(answer, _UNREACHED):
                self._slots.forget()
            if isinstance(answer, BaseException) and not isinstance(answer, redis.exceptions.RedisError | OSError):
                raise answer
            found.append(answer)
        return found


class ClusterPipeline(Pipeline):
    """Commands that are sent together; a transaction is one for each slot."""

    def __init__(self, cluster: ClusterRedis, *, transaction: bool) -> None:
        super().__init__(cluster.connection_pool, cluster.response_callbacks, transaction, None)
        self._cluster = cluster

    async def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - the library's
        """Run the commands, and return their answers in order."""
        commands, self.command_stack = self.command_stack, []
        if not commands:
            return []
        if self.is_transaction:
            return await self._execute_by_slot(commands, raise_on_error=raise_on_error)
        answers = await self._cluster.send(commands)
        return _answered(answers) if raise_on_error else answers

    async def _execute_by_slot(self, commands: Sequence[_Command], *, raise_on_error: bool) -> list[Any]:
        by_slot: dict[int, list[int]] = {}
        for index, command in enumerate(commands):
            # What asks the server itself is asked where the first key is.
            slot = slot_of(commands if command[0][0] in _ON_ANY else [command])
            by_slot.setdefault(slot, []).append(index)
        answers: dict[int, Any] = {}
        for indexes in by_slot.values():
            some = [commands[index] for index in indexes]
            found = await self._cluster.send_transaction(some, raise_on_error=raise_on_error)
            answers |= dict(zip(indexes, found, strict=True))
        return [answers[index] for index in range(len(commands))]


async def _execute(node: Redis, commands: Sequence[_Command], *, raise_on_error: bool) -> list[Any]:
    async with node.pipeline(transaction=True) as pipe:
        for args, options in commands:
            pipe.execute_command(*args, **options)
        answers: list[Any] = await pipe.execute(raise_on_error=raise_on_error)
    return answers


def _answered(answers: list[AnswerT | Exception]) -> list[AnswerT]:
    found: list[AnswerT] = []
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
        found.append(answer)
    return found


def slot_of(commands: Sequence[_Command]) -> int:
    """Return the slot of the first key of commands.

    Raises:
        redis.exceptions.DataError: none of them has a key.

    """
    for args, _ in commands:
        if len(args) > 1 and args[0] not in _ON_ANY | _ON_ALL | _WAITS:
            key = _key(args)
            return key_slot(key if isinstance(key, bytes) else str(key).encode())
    raise redis.exceptions.DataError(f"{commands[0][0][0]} is asked of a server: use `primaries`")


def _key(args: Sequence[Any]) -> Any:  # noqa: ANN401 - as the library took it
    match args[0]:
        case "EVAL" | "EVALSHA":
            return args[3]
        case "XREADGROUP":
            return args[next(index for index, word in enumerate(args) if word in {"STREAMS", b"STREAMS"}) + 1]
        case _:
            return args[1]


def _lowest(one: Any, other: Any) -> Any:  # noqa: ANN401 - counts, or an error
    for answer in (one, other):
        if isinstance(answer, Exception):
            return answer
    return [min(pair) for pair in zip(one, other, strict=True)] if isinstance(one, list) else min(one, other)
