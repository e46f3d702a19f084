"""Which stored messages may answer a question, and what an answer shows of those it gives."""

from memstream.retriever.candidates.conditions import conditions_of
from memstream.retriever.candidates.details import add_details
from memstream.retriever.candidates.hits import SearchHit
from memstream.retriever.candidates.proposals import MOST, Proposal, Proposals

__all__ = ["MOST", "Proposal", "Proposals", "SearchHit", "add_details", "conditions_of"]
