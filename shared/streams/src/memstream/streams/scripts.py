"""Scripts: steps that the Redis server runs as one, and the one way to call them.

A script takes named keys, named arguments and a payload. All keys of a call share a hash tag, so they lie in one slot
of a cluster. The arguments travel as one JSON object; in Lua they
are `arguments.NAME`. The payload is what has no name or is no text: it stands in `ARGV` from 2 on, as it is.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import redis.exceptions
from pydantic_core import to_json

from memstream.runtime.errors import MemstreamError
from memstream.streams.connections import Pipeline, Redis, redis_faults

KeysT = TypeVar("KeysT", bound=tuple[str | Sequence[str] | None, ...])
ArgumentsT = TypeVar("ArgumentsT")
AnswerT = TypeVar("AnswerT")

_EVEN_WHEN_FULL = "#!lua flags=allow-oom\n"
_READ_ARGUMENTS = "local arguments = cjson.decode(ARGV[1])\n"


@dataclass(frozen=True, slots=True)
class NoArguments:
    """The arguments of a script that takes none."""


class Script(Generic[KeysT, ArgumentsT, AnswerT]):
    """A step that the server runs as one.

    `KeysT` is a NamedTuple: its fields are the keys in the order of `KEYS`. A field may hold several keys; one that is
    None is left out, so it has to be among the last. `ArgumentsT` is a dataclass; None arrives as `cjson.null`.
    `read` decodes the answer. One that is `vital` runs even when the server has no memory left: what work in progress
    needs to end, and to free what it takes.
    """

    def __init__(self, text: str, read: Callable[[Any], AnswerT], *, vital: bool = False) -> None:
        self.text = (_EVEN_WHEN_FULL if vital else "") + _READ_ARGUMENTS + text
        # Redis names a script by this digest.
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self.read = read

    def call(self, keys: KeysT, arguments: ArgumentsT, payload: Sequence[str | bytes] = ()) -> "ScriptCall[AnswerT]":
        """Return a call of this script, to be run by `Scripts`."""
        names: list[str] = []
        for key in keys:
            if isinstance(key, str):
                names.append(key)
            elif key is not None:
                names.extend(key)
        return ScriptCall(self, names, [to_json(arguments), *payload])


@dataclass(frozen=True, slots=True)
class ScriptCall(Generic[AnswerT]):
    """A script with its keys and arguments."""

    script: Script[Any, Any, AnswerT]
    keys: Sequence[str]
    arguments: Sequence[str | bytes]


class Execute(Protocol):
    """Runs a pipeline and returns its answers."""

    def __call__(self, pipe: Pipeline, /, *, raise_on_error: bool = True) -> Awaitable[list[Any]]:
        """Run it. Unless `raise_on_error`, what the server refused is among the answers as an error."""


async def execute_at_once(pipe: Pipeline, /, *, raise_on_error: bool = True) -> list[Any]:
    """Run a pipeline and wait for nothing else."""
    return await pipe.execute(raise_on_error=raise_on_error)


class Scripts:
    """Calls scripts: one at a time, or many in one round trip."""

    def __init__(self, client: Redis, execute: Execute = execute_at_once) -> None:
        """`execute` runs a pipeline of calls."""
        self._client = client
        self._execute = execute

    async def run(self, call: ScriptCall[AnswerT]) -> AnswerT:
        """Run one call and return its answer.

        Raises:
            Unavailable: Redis cannot be reached. The step may have been taken.

        """
        script, count = call.script, len(call.keys)
        with redis_faults():
            try:
                answer: Any = await self._client.evalsha(script.sha, count, *call.keys, *call.arguments)
            except redis.exceptions.NoScriptError:
                # The server was restarted, or never saw the script. EVAL makes it known, too.
                answer = await self._client.eval(script.text, count, *call.keys, *call.arguments)
        return script.read(answer)

    async def run_all(self, calls: Sequence[ScriptCall[AnswerT]]) -> list[AnswerT]:
        """Run calls in one round trip, and return their answers in order.

        Raises:
            Unavailable: Redis cannot be reached. Any of the steps may have been taken.

        """
        answers: list[AnswerT] = []
        for answer in await self.run_each(calls):
            if isinstance(answer, MemstreamError):
                raise answer
            answers.append(answer)
        return answers

    async def run_each(self, calls: Sequence[ScriptCall[AnswerT]]) -> list[AnswerT | MemstreamError]:
        """Run calls in one round trip, and return in order what each answered, or why it failed.

        Raises:
            Unavailable: Redis cannot be reached. Any of the steps may have been taken.

        """
        with redis_faults():
            answers = await self._run_pipeline(dict(enumerate(calls)))
        found: list[AnswerT | MemstreamError] = []
        for index, call in enumerate(calls):
            fault = _fault(answers[index])
            found.append(call.script.read(answers[index]) if fault is None else fault)
        return found

    async def _run_pipeline(self, calls: dict[int, ScriptCall[AnswerT]]) -> dict[int, Any]:
        answers = await self._run_once(calls)
        # Only calls that were not run are sent again: a second answer may differ from the first.
        unknown = {
            index: calls[index]
            for index, answer in answers.items()
            if isinstance(answer, redis.exceptions.NoScriptError)
        }
        if unknown:
            for text in {call.script.text for call in unknown.values()}:
                await self._client.script_load(text)
            answers |= await self._run_once(unknown)
        return answers

    async def _run_once(self, calls: dict[int, ScriptCall[AnswerT]]) -> dict[int, Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for call in calls.values():
                pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.arguments)
            return dict(zip(calls, await self._execute(pipe, raise_on_error=False), strict=True))


def _fault(answer: object) -> MemstreamError | None:
    try:
        with redis_faults():
            if isinstance(answer, Exception):
                raise answer
    except MemstreamError as error:
        return error
    return None
