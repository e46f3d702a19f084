"""The contract of the streams as an AsyncAPI document, made without a connection and never served.

The real subscriptions take bytes, so that one bad entry can't spoil a batch; the ones here carry the types.
"""

import re
from typing import Any
from urllib.parse import unquote

from faststream.redis import RedisBroker, StreamSub
from faststream.specification import AsyncAPI
from pydantic import BaseModel

from memstream.contracts import keys
from memstream.contracts.events import EVENTS, Event
from memstream.contracts.keys import Lane

_DESCRIPTION = (
    "What the embedder reads. A stream entry has two fields: "
    f"`{keys.TYPE_FIELD}`, the event's type, and `{keys.DATA_FIELD}`, the event as JSON, which is the payload here. "
    "Producers write only what a schema has; consumers ignore fields they don't know."
)
_LANES: dict[Lane, str] = {
    "live": "What somebody just said.",
    "bulk": "Imports; they never delay live messages.",
}
_PARTITION = {
    "description": "The partition's number, 0 to N - 1, in braces. They are part of the name: Redis' hash tag.",
    "default": "{0}",
    "examples": ["{0}", "{15}"],
}
_COMPONENTS = "#/components/"


def describe(version: str) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document: one channel a lane, the partition as its parameter.

    `version` is that of the contract.
    """
    broker = RedisBroker("redis://127.0.0.1:6379", protocol_version="7.2")
    subscribers = []  # kept here, since the broker refers to them weakly
    for lane in keys.LANES:
        # Every partition's stream has this name but for its number.
        address = keys.stream(0, lane).replace("{0}", "{partition}")
        subscriber = broker.subscriber(
            stream=StreamSub(address, group=keys.GROUP, consumer="any"), title=lane, description=_LANES[lane]
        )
        subscribers.append(subscriber(_receive))
    application = AsyncAPI(
        broker, title="Memstream streams", version=version, description=_DESCRIPTION, schema_version="3.0.0"
    )
    document: dict[str, Any] = application.to_specification().to_jsonable()
    return _corrected(document)


def event_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of an event as it is on a stream, where its type is always written."""
    schema = model.model_json_schema()
    schema["required"] = [name for name in schema["properties"] if name in {*schema["required"], keys.TYPE_FIELD}]
    return schema


async def _receive(event: Event) -> None:
    """Take an event. Only its type is looked at."""


def _corrected(document: dict[str, Any]) -> dict[str, Any]:
    """Put right what FastStream 0.7.8 writes for a stream of plain JSON."""
    components = document["components"]
    # It lists subscribers in the order of their addresses in memory.
    for kind in ("channels", "operations"):
        document[kind] = dict(sorted(document[kind].items()))
    for kind in ("messages", "schemas"):
        components[kind] = {_component(name): part for name, part in sorted(components[kind].items())}
    for message in components["messages"].values():
        # It points into FastStream's envelope, which our entries don't have.
        message.pop("correlationId", None)
    for channel in document["channels"].values():
        channel["parameters"] = {"partition": _PARTITION}
        # Each worker has a name of its own.
        channel["bindings"]["redis"].pop("consumerName", None)
    for event in EVENTS:
        components["schemas"][event.__name__] = event_schema(event)
    corrected: dict[str, Any] = _with_references(document)
    return corrected


def _component(name: str) -> str:
    """AsyncAPI 3.0 allows these characters in the name of a component."""
    return re.sub(r"[^A-Za-z0-9._-]+", ".", name)


def _with_references(part: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(part, dict):
        return {name: _reference(value) if name == "$ref" else _with_references(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_with_references(item) for item in part]
    return part


def _reference(target: str) -> str:
    if not target.startswith(_COMPONENTS):
        return target
    kind, _, name = target.removeprefix(_COMPONENTS).partition("/")
    return f"{_COMPONENTS}{kind}/{_component(unquote(name))}"
