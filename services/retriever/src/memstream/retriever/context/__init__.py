"""Contexts: from the answer to a question to a text for a prompt."""

from memstream.retriever.context.service import Contexts

__all__ = ["Contexts"]
