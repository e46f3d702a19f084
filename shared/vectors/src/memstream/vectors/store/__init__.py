"""The store of all users' messages: its types, and what services ask of it. No vendor's type is above its adapter."""

from memstream.vectors.store.conditions import At, Condition, Conditions, FirstChunk, MetadataIsOneOf, OneOf, Within
from memstream.vectors.store.expiry import EndedBy, Expiry, ReadExpiry, RecordedBefore, Sweepable, without_retention
from memstream.vectors.store.memory import DEPENDENCY, MAX_SPEAKERS, MemoryStore, Residue
from memstream.vectors.store.messages import CONTENT, KEYWORDS, EmbeddedChunk, Record, StoredMessage
from memstream.vectors.store.owners import Owner, owner_of
from memstream.vectors.store.queries import (
    CandidateQuery,
    Candidates,
    FirstChunks,
    Neighbours,
    TimelinePosition,
    Turns,
)
from memstream.vectors.store.versions import NewToken, NewVersion, Reservation, StoredVersion

__all__ = [
    "CONTENT",
    "DEPENDENCY",
    "KEYWORDS",
    "MAX_SPEAKERS",
    "At",
    "CandidateQuery",
    "Candidates",
    "Condition",
    "Conditions",
    "EmbeddedChunk",
    "EndedBy",
    "Expiry",
    "FirstChunk",
    "FirstChunks",
    "MemoryStore",
    "MetadataIsOneOf",
    "Neighbours",
    "NewToken",
    "NewVersion",
    "OneOf",
    "Owner",
    "ReadExpiry",
    "Record",
    "RecordedBefore",
    "Reservation",
    "Residue",
    "StoredMessage",
    "StoredVersion",
    "Sweepable",
    "TimelinePosition",
    "Turns",
    "Within",
    "owner_of",
    "without_retention",
]
