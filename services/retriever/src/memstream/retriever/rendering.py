"""Answers as JSON, piece by piece: to write a long one at once would stop the event loop. Pure."""

from collections.abc import Sequence

from memstream.contracts.searches import SearchOut

_FEW_MESSAGES = 300
"""Messages of an answer that is written within a few milliseconds, unless they are long."""
_SHORT_TEXTS = 500_000
"""Characters that are."""


def render(answer: SearchOut) -> bytes:
    """Return an answer as JSON, the same as its model writes."""
    hits = b",".join([hit.model_dump_json().encode() for hit in answer.hits])
    rest = answer.model_copy(update={"hits": []}).model_dump_json().encode()
    return rest.replace(b'"hits":[]', b'"hits":[' + hits + b"]", 1)


def render_all(answers: Sequence[SearchOut]) -> bytes:
    """Return the answers of a batch as JSON, the same as its model writes."""
    return b'{"results":[' + b",".join([render(answer) for answer in answers]) + b"]}"


def is_short(answers: Sequence[SearchOut]) -> bool:
    """Return whether answers are written within a few milliseconds."""
    messages = characters = 0
    for answer in answers:
        for hit in answer.hits:
            messages += 1 + len(hit.before) + len(hit.after)
            characters += len(hit.text)
            if messages > _FEW_MESSAGES or characters > _SHORT_TEXTS:
                return False
    return True
