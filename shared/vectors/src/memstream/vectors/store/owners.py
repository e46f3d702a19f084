"""Whose messages a store is asked for."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from uuid import UUID

from memstream.contracts import ids


class Owner(ABC):
    """A user of a tenant, or all users of it. Only `owner_of` makes one; every method of a store takes one.

    The class is abstract, so that `Owner(...)` anywhere else is an error to the type checker and at run time: nobody
    can ask a store for messages without having said whose they are.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """The keyword that every stored message of this owner carries."""

    @property
    @abstractmethod
    def tenant(self) -> str:
        """The tenant, whose policy says how long messages are kept."""

    @property
    @abstractmethod
    def is_shared(self) -> bool:
        """Whether these are the documents that belong to all users of a tenant."""

    @abstractmethod
    def point_id(self, message_id: str, chunk: int) -> UUID:
        """Return the id under which a chunk (0, 1, …) of a message is stored."""


def owner_of(tenant: str, user_id: str) -> Owner:
    """Return the owner of a user's messages. The tenant comes from the caller's credential, never from a request."""
    return _Owner(tenant, user_id)


@dataclass(frozen=True, slots=True)
class _Owner(Owner):
    tenant_name: str
    user_id: str

    @property
    def tenant(self) -> str:
        return self.tenant_name

    @property
    def name(self) -> str:
        return ids.owner(self.tenant_name, self.user_id)

    @property
    def is_shared(self) -> bool:
        return self.user_id == ids.SHARED_USER

    def point_id(self, message_id: str, chunk: int) -> UUID:
        return ids.point_id(self.tenant_name, self.user_id, message_id, chunk)
