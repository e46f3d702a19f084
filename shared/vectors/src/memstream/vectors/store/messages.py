"""What is stored of a message: the one place that names the fields, their defaults and their indexes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, get_type_hints

import msgspec
import numpy as np
import numpy.typing as npt

from memstream.contracts.messages import MessageContent
from memstream.vectors.store.owners import Owner

CONTENT = tuple(MessageContent.model_fields)
"""What is stored of a message as it was posted. `StoredMessage` has a field of each of these names."""

_LEFT_OUT = ("full_text", "expires_at", "tenant", "entry_seq", "entry")
"""Fields that are not written where they only have their default."""


class Index(Enum):
    """How a field is indexed. Only indexed fields, and `metadata`, may be filtered or ordered by."""

    OWNER = "owner"
    """Keyword that partitions the whole collection."""
    KEYWORD = "keyword"
    TIME = "time"
    TENANT = "tenant"
    """Keyword by which points of all owners of a tenant are counted and swept; no caller filters by it."""
    INTEGER = "integer"


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A chunk of a message as the store holds it. Short messages are one chunk.

    Fields that are missing from what is read take their defaults, so that a field can be added while older points stay
    as they are.
    """

    owner: Annotated[str, Index.OWNER]
    message_id: str
    text: str
    """The chunk's own text."""
    occurred_at: Annotated[datetime, Index.TIME]
    recorded_at: Annotated[datetime, Index.TIME]
    role: Annotated[str, Index.KEYWORD] = "user"
    kind: Annotated[str, Index.KEYWORD] = "message"
    conversation_id: Annotated[str | None, Index.KEYWORD] = None
    speaker: Annotated[str | None, Index.KEYWORD] = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    chunk: Annotated[int, Index.INTEGER] = 0
    """Which of the message's chunks this is, from 0."""
    chunks: int = 1
    """How many chunks the message has."""
    full_text: str | None = None
    """The whole text: on the first chunk of a message that has several."""
    entry_ms: Annotated[int, Index.INTEGER] = 0
    """When the stream entry it comes from was appended, by the stream's clock; milliseconds."""
    expires_at: Annotated[datetime | None, Index.TIME] = None
    """From this time on no query finds it."""
    tenant: Annotated[str, Index.TENANT] = ""
    """Empty on points of before this field."""
    entry_seq: Annotated[int, Index.INTEGER] = 0
    """Its sequence number within the millisecond. It is only written if it is not 0."""
    entry: str = ""
    """The position of that entry; empty if a release that did not know it stored the message."""

    @property
    def content(self) -> dict[str, Any]:
        """The fields of `MessageContent`; its text is the whole message's, on a later chunk the chunk's own."""
        return {name: getattr(self, name) for name in CONTENT} | {"text": self.full_text or self.text}

    def written(self) -> dict[str, Any]:
        """Return the fields to write. Times stay `datetime`s."""
        fields = msgspec.structs.asdict(self)
        return {name: value for name, value in fields.items() if value or name not in _LEFT_OUT}

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "StoredMessage":
        """Return the message in what a store gave back.

        Raises:
            ValueError: a field is missing or has another type.

        """
        return msgspec.convert(fields, cls)


def _indexes() -> dict[str, Index]:
    hints = get_type_hints(StoredMessage, include_extras=True)
    return {
        name: index
        for name, hint in hints.items()
        for index in getattr(hint, "__metadata__", ())
        if isinstance(index, Index)
    }


INDEXES = _indexes()
"""The indexed fields, and how each is indexed."""

KEYWORDS = tuple(name for name, index in INDEXES.items() if index is Index.KEYWORD)
"""The fields that a caller may filter by equality."""


@dataclass(frozen=True, slots=True)
class EmbeddedChunk:
    """A chunk of a message with what it is found by."""

    owner: Owner
    message: StoredMessage
    vector: npt.NDArray[np.float32]
    """In the store's embedding space, one-dimensional."""
    indexed_text: str
    """The text that keyword search indexes."""


@dataclass(frozen=True, slots=True)
class Record:
    """A stored chunk and its id."""

    id: str
    message: StoredMessage
