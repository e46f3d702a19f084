"""Which stored messages may answer a question, and what an answer shows of those it gives."""

from memstream.retriever.candidates.conditions import conditions_of
from memstream.retriever.candidates.details import add_details
from memstream.retriever.candidates.finder import MAX_CANDIDATES, CandidateFinder, OwnerCandidates
from memstream.retriever.candidates.hits import SearchHit

__all__ = [
    "MAX_CANDIDATES",
    "CandidateFinder",
    "OwnerCandidates",
    "SearchHit",
    "add_details",
    "conditions_of",
]
