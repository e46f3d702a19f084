"""Questions: their words, the speakers and times they name, and their vectors."""

from memstream.retriever.asking.embedding import QueryEmbedder, shortened
from memstream.retriever.asking.known_speakers import KnownSpeakers
from memstream.retriever.asking.query_vectors import QueryPolicy, QueryVectors, Vector
from memstream.retriever.asking.questions import Question, read_question
from memstream.retriever.asking.speakers import may_mention_speaker, strip_speaker_names
from memstream.retriever.asking.wording import content_words, has_requested_detail, states_change, stems
from memstream.retriever.asking.words import spaced_words

__all__ = [
    "KnownSpeakers",
    "QueryEmbedder",
    "QueryPolicy",
    "QueryVectors",
    "Question",
    "Vector",
    "content_words",
    "has_requested_detail",
    "may_mention_speaker",
    "read_question",
    "shortened",
    "spaced_words",
    "states_change",
    "stems",
    "strip_speaker_names",
]
