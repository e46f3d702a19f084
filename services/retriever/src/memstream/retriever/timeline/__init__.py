"""A user's messages in time order."""

from memstream.retriever.timeline.pages import Timeline

__all__ = ["Timeline"]
