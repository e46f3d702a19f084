"""Which collection is ours: an identity in its metadata, and the same one outside of what may be lost with it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault
from memstream.vectors.store.identity import IdentityKeeper, KeptIdentity
from memstream.vectors.store.memory import DEPENDENCY

METADATA = "memstream"
"""The key of the collection's metadata that is ours."""

SETTLED = "memstream_settled_ms"
"""The key of the collection's metadata that says until when all entries of the streams are in it."""

CHECK_SECONDS = 5.0
"""How long nobody looks again whether the collection is the one that it was."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What we note in the collection's metadata."""

    identity: str | None = None
    has_terms: bool = False
    """Whether all of its points have `metadata_terms`."""

    @classmethod
    def read(cls, metadata: object) -> "Marks":
        """Return what stands in a collection's metadata; nothing if it has none of ours."""
        ours = metadata.get(METADATA) if isinstance(metadata, dict) else None
        if not isinstance(ours, dict):
            return cls()
        identity = ours.get("identity")
        return cls(identity if isinstance(identity, str) else None, ours.get("metadata_terms") is True)

    def written(self) -> dict[str, Any]:
        """Return the metadata to write."""
        return {METADATA: {"identity": self.identity, "metadata_terms": self.has_terms}}


@dataclass(frozen=True, slots=True)
class Identification:
    """How a store knows its collection."""

    keeper: IdentityKeeper
    new_identity: Callable[[], str]
    clock: Clock


def require_same(name: str, kept: KeptIdentity | None, found: str | None) -> None:
    """Raise unless a collection that is there may be the one that is known.

    Raises:
        GlobalFault: it is another one, or is being restored.

    """
    if kept is not None and kept.is_restoring:
        raise _restoring(name)
    if kept is not None and kept.is_confirmed and kept.value != found:
        raise GlobalFault(
            DEPENDENCY,
            f"the collection {name!r} is not the one that messages were stored in, but was put in its place: "
            "delete it and restore that one",
        )


def missing(name: str, kept: KeptIdentity | None) -> GlobalFault:
    """Return the error for a collection that is not there."""
    if kept is not None and kept.is_restoring:
        return _restoring(name)
    if kept is not None and kept.is_confirmed:
        return GlobalFault(DEPENDENCY, f"the collection {name!r} is lost: restore it, it is not made anew")
    return GlobalFault(DEPENDENCY, f"the collection {name!r} is missing")


def _restoring(name: str) -> GlobalFault:
    return GlobalFault(DEPENDENCY, f"the collection {name!r} is being restored")
