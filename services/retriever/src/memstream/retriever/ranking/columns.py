"""The candidates for a question as columns, of which features are computed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memstream.contracts.messages import DOCUMENT
from memstream.retriever.asking import Question, spaced_words
from memstream.retriever.ranking.conversations import ContextScores, TurnColumns, context_scores
from memstream.retriever.ranking.scores import Floats, Score
from memstream.vectors.store import StoredMessage

ASSISTANT = "assistant"
USER = "user"

MAX_ANALYSED = 64
"""How many candidates' texts are analysed: those with the best combined scores. Their words would not bring
the others to the front."""


@dataclass(frozen=True)
class Columns:
    """Candidate messages, each by its best chunk, an element for each. What costs time is computed when first used."""

    question: Question
    messages: Sequence[StoredMessage]
    scores: Mapping[Score, Floats]
    """The scores that were asked for."""
    chunks: Floats
    """How many chunks each message has."""
    combined_scores: Floats
    """The scores combined into one."""

    def zeros(self) -> Floats:
        """Return a column of zeros."""
        return np.zeros(len(self.messages))

    @cached_property
    def words(self) -> Floats:
        """About how many words each whole message has, by the blanks of its best chunk and the number of chunks."""
        return np.asarray([message.text.count(" ") + 1 for message in self.messages]) * self.chunks

    @cached_property
    def is_document(self) -> Sequence[bool]:
        """Whether each is a document."""
        return [message.kind == DOCUMENT for message in self.messages]

    @cached_property
    def by_assistant(self) -> Sequence[bool]:
        """Whether an assistant said each."""
        return [message.role == ASSISTANT for message in self.messages]

    @cached_property
    def mentioned_speakers(self) -> frozenset[str]:
        """The speakers of candidates whom the question mentions by name."""
        return self.question.mentioned({message.speaker for message in self.messages if message.speaker})

    @cached_property
    def context(self) -> ContextScores:
        """What the other turns of its conversation say about each."""
        return context_scores(
            TurnColumns(
                conversations=[message.conversation_id for message in self.messages],
                times=[(message.occurred_at, message.recorded_at) for message in self.messages],
                words=self.words,
                scores=self._combined_scores,
                by_assistant=self.by_assistant,
            )
        )

    @cached_property
    def analysed(self) -> Sequence[int]:
        """The indices of the candidates whose texts are analysed, those with the best combined scores first."""
        return sorted(range(len(self.messages)), key=self._combined_scores.__getitem__, reverse=True)[:MAX_ANALYSED]

    @cached_property
    def lower_texts(self) -> Sequence[str]:
        """Their texts in lower case, in the order of `analysed`."""
        return [self.messages[index].text.lower() for index in self.analysed]

    @cached_property
    def spaced_texts(self) -> Sequence[str]:
        """The words of their texts with one space before and after each, in the same order."""
        return [spaced_words(text) for text in self.lower_texts]

    @cached_property
    def _combined_scores(self) -> list[float]:
        scores: list[float] = self.combined_scores.tolist()
        return scores
