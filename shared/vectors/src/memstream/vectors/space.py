"""The embedding space: what makes two vectors comparable."""

import re
from dataclasses import dataclass
from datetime import datetime

TEMPLATE_VERSION = 1
"""Version of `render`. A change of the text that is embedded is a new version, and so a new space."""


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
"""In English whatever the locale, since the text is part of the space."""


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """A model, its number of dimensions, and the template of the text it is given."""

    model: str
    dimensions: int
    template: int = TEMPLATE_VERSION

    @property
    def vector_name(self) -> str:
        """The name of this space's vector on every stored point."""
        model = re.sub(r"[^A-Za-z0-9.-]+", "-", self.model)
        return f"{model}_{self.dimensions}_t{self.template}"


def render(text: str, *, speaker: str | None, role: str, occurred_at: datetime) -> str:
    """Write a message as it is embedded and indexed: the day it was said, by whom, and the text.

    Adding day and speaker lifts the recall of both signals; docs/decisions has the measurements.
    """
    day = f"{occurred_at.day} {_MONTHS[occurred_at.month - 1]} {occurred_at.year}"
    return f"{day}, {speaker or role}: {text}"
