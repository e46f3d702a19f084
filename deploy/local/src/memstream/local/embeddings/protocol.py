"""OpenAI's embeddings API: parsing requests, and the JSON of responses and errors."""

import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from memstream.local.embeddings.model import Model, Tokens, Vectors

# https://platform.openai.com/docs/api-reference/embeddings/create
MAX_INPUTS = 2048
MAX_TOKENS_PER_INPUT = 8192
MAX_TOKENS_PER_REQUEST = 300_000

# Five times what 300,000 tokens of English take, because other languages and escapes need more bytes per token.
MAX_BODY_BYTES = 8 * 2**20

_FIELDS = ("input", "model", "encoding_format", "dimensions", "user")
_JSON_TYPES = {bool: "a boolean", int: "an integer", float: "a number", dict: "an object", list: "an array"}


class ApiError(Exception):
    """A request that fails with one of OpenAI's errors."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    def body(self) -> bytes:
        """Return the JSON body of the response."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"  # noqa: PLR2004 - HTTP's own boundary
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return orjson.dumps({"error": error})


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """A valid request."""

    texts: list[str]
    encoding: Literal["float", "base64"]


def parse(body: bytes, model: Model) -> EmbeddingsRequest:
    """Return the request in the body of `POST /v1/embeddings`. Raises `ApiError`, which names the wrong field."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as broken:
        raise ApiError(f"We could not parse the JSON body of your request: {broken}", code="invalid_json") from broken
    if not isinstance(fields, dict):
        raise ApiError(f"The JSON body must be an object, got {_named(fields)}.", code="invalid_type")
    for name in fields:
        if name not in _FIELDS:
            raise ApiError(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    for name in ("input", "model"):
        if fields.get(name) is None:
            raise ApiError(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    check_model(fields["model"], model)
    _check_dimensions(fields.get("dimensions"), model)
    _check_type("user", fields.get("user"))
    return EmbeddingsRequest(_texts(fields["input"]), _encoding(fields))


def check_model(name: object, model: Model) -> None:
    """Raise `ApiError` if the requested model is not the one that is served."""
    if not isinstance(name, str):
        _check_type("model", name)
    if name != model.name:
        message = f"The model '{name}' does not exist here: this server serves '{model.name}'."
        raise ApiError(message, status=404, param="model", code="model_not_found")


def check_tokens(texts: Sequence[Tokens]) -> None:
    """Raise `ApiError` if a text, or all of them together, has more tokens than OpenAI accepts."""
    for index, text in enumerate(texts):
        if text.count > MAX_TOKENS_PER_INPUT:
            raise ApiError(
                f"Invalid 'input[{index}]': maximum context length is {MAX_TOKENS_PER_INPUT} tokens, "
                f"this text has {text.count}.",
                param="input",
                code="context_length_exceeded",
            )
    total = sum(text.count for text in texts)
    if total > MAX_TOKENS_PER_REQUEST:
        message = f"Invalid 'input': maximum request size is {MAX_TOKENS_PER_REQUEST} tokens, this one has {total}."
        raise ApiError(message, param="input", code="max_tokens_per_request")


def response_body(request: EmbeddingsRequest, tokens: Sequence[Tokens], vectors: Vectors, model: Model) -> bytes:
    """Return the JSON body of a successful response.

    `usage` counts the model's tokens of the whole texts: before truncation, and without start and end tokens.
    """
    encoded: list[Any]
    if request.encoding == "base64":
        encoded = [binascii.b2a_base64(row, newline=False).decode("ascii") for row in vectors.astype("<f4", copy=False)]
    else:
        encoded = list(vectors)
    used = sum(text.count for text in tokens)
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(encoded)],
        "model": model.name,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        if not value:
            raise _bad_input("Invalid 'input': an empty string can't be embedded.")
        return [value]
    if not isinstance(value, list):
        raise _bad_input(f"Invalid type for 'input': expected a string or an array of strings, got {_named(value)}.")
    if not value:
        raise _bad_input("Invalid 'input': an empty array.", "empty_array")
    if len(value) > MAX_INPUTS:
        raise _bad_input(f"Invalid 'input': at most {MAX_INPUTS} texts, got {len(value)}.", "array_above_max_length")
    for index, text in enumerate(value):
        if not isinstance(text, str):
            hint = " Token arrays are not supported, send text." if isinstance(text, int | list) else ""
            message = f"Invalid type for 'input[{index}]': expected a string, got {_named(text)}.{hint}"
            raise _bad_input(message, "invalid_type")
        if not text:
            raise _bad_input(f"Invalid 'input[{index}]': an empty string can't be embedded.")
    return value


def _bad_input(message: str, code: str = "invalid_value") -> ApiError:
    return ApiError(message, param="input", code=code)


def _encoding(fields: Mapping[str, object]) -> Literal["float", "base64"]:
    value = fields.get("encoding_format")
    if value is None or value == "float":
        return "float"
    if value == "base64":
        return "base64"
    message = f"Invalid value for 'encoding_format': expected 'float' or 'base64', got {orjson.dumps(value).decode()}."
    raise ApiError(message, param="encoding_format", code="invalid_value")


def _check_dimensions(value: object, model: Model) -> None:
    if value is None or (value == model.dimensions and type(value) is int):
        return
    if model.accepts_dimensions:
        message = f"Invalid value for 'dimensions': the vectors of '{model.name}' have {model.dimensions}."
    else:
        message = (
            f"The model '{model.name}' does not support specifying dimensions: its vectors have {model.dimensions}."
        )
    raise ApiError(message, param="dimensions", code="invalid_value")


def _check_type(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        message = f"Invalid type for '{name}': expected a string, got {_named(value)}."
        raise ApiError(message, param=name, code="invalid_type")


def _named(value: object) -> str:
    return "null" if value is None else _JSON_TYPES.get(type(value), "a string")
