"""The identity of a store's collection, where it survives the collection."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeptIdentity:
    """What is known outside of Qdrant of the collection."""

    value: str
    is_confirmed: bool
    """Whether a collection with it was there. Before, it may be made anew without losing anything."""
    is_restoring: bool = False
    """Whether somebody is restoring the collection: what is there is not all of it."""


class IdentityKeeper(Protocol):
    """Keeps a collection's identity where it survives the collection.

    Its methods raise `Unavailable` while that place is out of reach.
    """

    async def read(self) -> KeptIdentity | None:
        """Return what is kept; None if there never was a collection."""
        ...

    async def propose(self, value: str) -> None:
        """Keep an identity for a collection that is to be made, unless one is kept already."""
        ...

    async def confirm(self, value: str) -> None:
        """Keep the identity of a collection that is there, and whole."""
        ...

    async def begin_restoring(self, value: str) -> None:
        """Note that the collection is being restored, until it is confirmed."""
        ...
