"""Contexts: from the answer to a question to a text for a prompt."""

from memstream.retriever.context.service import Contexts
from memstream.retriever.context.tokens import token_counter

__all__ = ["Contexts", "token_counter"]
