"""What one level of a query looks at, and the vectors that it names by the ids of points."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from dataclasses import dataclass, field
from typing import Any

import qdrant_edge as qe

from memstream.local.qdrant.collection import Collection
from memstream.local.qdrant.fields import PointId
from memstream.local.qdrant.refusals import not_found, wrong
from memstream.local.qdrant.vectors import DEFAULT, Layout, read_asked

DEFAULT_LIMIT = 10


@dataclass
class Aim:
    """A collection, the vector in use, where ids are looked up, and in ``used`` the ids that the answer leaves out."""

    collection: Collection
    using: str = DEFAULT
    limit: int = DEFAULT_LIMIT
    lookup: tuple[Collection, str] | None = None
    used: list[PointId] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        """The vectors of the collection that is searched."""
        return self.collection.layout

    def vector(self, value: object, where: str) -> qe.NamedVector:
        """Return a vector to search for, looking it up when ``value`` is the id of a point."""
        if isinstance(value, (int, str)):
            return self._of_point(value, where)
        return read_asked(value, where)

    def _of_point(self, identity: PointId, where: str) -> qe.NamedVector:
        source, name = self.lookup or (self.collection, self.using)
        source.layout.check(name)
        if self.lookup is None or self.lookup[0] is self.collection:
            self.used.append(identity)
        records = source.read(lambda shard: shard.retrieve([identity], False, [name]))  # noqa: FBT003
        if not records:
            raise not_found(f"No point with id {identity} found")
        held: Any = records[0].vector
        vector = held.get(name) if isinstance(held, dict) else held
        if vector is None:
            raise wrong(f"point {identity} in `{where}` has no vector `{name}`")
        found: qe.NamedVector = vector
        return found
