"""What the Compose files say, read as Docker Compose does, without an engine."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic_settings import BaseSettings

from memstream.embedder.settings import EmbedderSettings
from memstream.ingest.settings import IngestSettings
from memstream.retriever.settings import RetrieverSettings

TOP = Path(__file__).parents[2]
COMPOSE = TOP / "docker-compose.yml"
CLUSTER = TOP / "deploy/compose.cluster.yaml"
EXAMPLE = TOP / ".env.example"

SETTINGS: Mapping[str, type[BaseSettings]] = {
    "ingest": IngestSettings,
    "embedder": EmbedderSettings,
    "retriever": RetrieverSettings,
}
REQUIRED = {"OPENAI_API_KEY": "sk-example", "MEMSTREAM_REDIS_PASSWORD": "r" * 64, "MEMSTREAM_QDRANT_API_KEY": "q" * 64}

VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<operand>[^}]*))?\})")

Compose = Mapping[str, Any]


class RequiredVariableMissing(Exception):
    """What Docker Compose ends with when a variable of the form `${NAME:?message}` is empty."""


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """Do to a text what Docker Compose does, as far as the file asks for it: `$$`, `${A}`, `${A:-b}`, `${A:?b}`."""

    def value(match: re.Match[str]) -> str:
        name, operator, operand = match["name"], match["operator"], match["operand"]
        if name is None:
            return "$"
        found = variables.get(name, "")
        if not found and operator == ":?":
            raise RequiredVariableMissing(operand)
        return found or (operand if operator == ":-" else "")

    return VARIABLE.sub(value, text)


class _Loader(yaml.SafeLoader):
    """Reads the tags by which one file replaces what another says, and leaves them out."""


def _value(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _value)


def read_file(path: Path, **variables: str) -> Compose:
    """Read all of a file as Docker Compose does with these variables set."""

    def walk(node: object) -> object:
        match node:
            case str():
                return interpolated(node, variables)
            case dict():
                return {key: walk(value) for key, value in node.items()}
            case list():
                return [walk(value) for value in node]
            case _:
                return node

    read = walk(yaml.load(path.read_text(), _Loader))  # noqa: S506 - a safe loader with two more tags
    assert isinstance(read, dict)
    return read


def read_compose(**variables: str) -> Compose:
    """Read the services of docker-compose.yml."""
    services: Compose = read_file(COMPOSE, **variables)["services"]
    return services
