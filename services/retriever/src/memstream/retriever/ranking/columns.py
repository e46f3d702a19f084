"""The candidates for a question as columns, of which features are computed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memstream.contracts.messages import DOCUMENT
from memstream.retriever.asking import Question, spaced_words, stems
from memstream.retriever.ranking.conversations import Replies, TurnColumns, replies, surroundings
from memstream.retriever.ranking.coverage import TermMatches, exact_matches, partial_matches
from memstream.retriever.ranking.scores import Floats, Score, combined_scores
from memstream.vectors.store import StoredMessage

ASSISTANT = "assistant"
USER = "user"

MAX_ANALYSED = 64
"""How many candidates' texts are analysed: those with the best combined scores. Their words would not bring
the others to the front."""

_READ = 8_000
"""Characters of each text that are analysed. A chunk has about 1,000, unless an operator sets longer ones."""


@dataclass(frozen=True)
class Columns:
    """Candidate messages, each by its best chunk, an element for each. What costs time is computed when first used."""

    question: Question
    messages: Sequence[StoredMessage]
    scores: Mapping[Score, Floats]
    """The scores that were asked for."""
    chunks: Floats
    """How many chunks each message has."""
    adjusted_scores: Mapping[Score, Floats]
    """The scores, made comparable."""

    @cached_property
    def combined_scores(self) -> Floats:
        """The scores combined into one."""
        return combined_scores(self.adjusted_scores)

    def zeros(self) -> Floats:
        """Return a column of zeros."""
        return np.zeros(len(self.messages))

    @cached_property
    def words(self) -> Floats:
        """About how many words each whole message has, by the blanks of its best chunk and the number of chunks."""
        return np.asarray([message.text.count(" ", 0, _READ) + 1 for message in self.messages]) * self.chunks

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
    def is_by_mentioned(self) -> Floats | None:
        """1 for messages of the speaker whom the question mentions, else 0. None if it mentions none, or several.

        A question that mentions two people may ask for what either of them said.
        """
        if len(self.mentioned_speakers) != 1:
            return None
        return np.array([message.speaker in self.mentioned_speakers for message in self.messages], np.float64)

    @cached_property
    def time_shares(self) -> Floats:
        """1 for messages of a time that the question names, 0.5 for those of a day next to one; 0 for documents."""
        if not self.question.times:
            return self.zeros()
        pairs = zip(self.messages, self.is_document, strict=True)
        share = self.question.time_share
        return np.array([0.0 if is_document else share(message.occurred_at) for message, is_document in pairs])

    @cached_property
    def surroundings(self) -> Floats:
        """What the other turns of its conversation give each, on the scale of combined scores."""
        return surroundings(self._turns)

    @cached_property
    def replies(self) -> Replies:
        """Which turn each replies to."""
        return replies(self._turns)

    @cached_property
    def terms(self) -> Sequence[str]:
        """The question's terms without the names of the speakers whom it mentions."""
        names = {word for name in self.mentioned_speakers for word in spaced_words(name.lower()).split()}
        return [term for term in self.question.wording.terms if term not in names]

    @cached_property
    def exact_matches(self) -> TermMatches:
        """Which of the analysed texts contain which terms."""
        return exact_matches(stems(self.terms), self.spaced_texts)

    @cached_property
    def partial_matches(self) -> TermMatches:
        """How much of each term the analysed texts contain."""
        return partial_matches(self.terms, self.spaced_texts)

    @cached_property
    def analysed(self) -> Sequence[int]:
        """The indices of the candidates whose texts are analysed, those with the best combined scores first."""
        return sorted(range(len(self.messages)), key=self._combined_scores.__getitem__, reverse=True)[:MAX_ANALYSED]

    @cached_property
    def lower_texts(self) -> Sequence[str]:
        """Their texts in lower case, in the order of `analysed`."""
        return [self.messages[index].text[:_READ].lower() for index in self.analysed]

    @cached_property
    def spaced_texts(self) -> Sequence[str]:
        """The words of their texts with one space before and after each, in the same order."""
        return [spaced_words(text) for text in self.lower_texts]

    @cached_property
    def equal_texts(self) -> Sequence[Sequence[int]]:
        """The indices of the analysed candidates whose words are the same, for each such text."""
        indices: dict[str, list[int]] = {}
        for index, text in zip(self.analysed, self.spaced_texts, strict=True):
            indices.setdefault(text, []).append(index)
        return [same for same in indices.values() if len(same) > 1]

    @cached_property
    def _combined_scores(self) -> list[float]:
        scores: list[float] = self.combined_scores.tolist()
        return scores

    @cached_property
    def _turns(self) -> TurnColumns:
        return TurnColumns(
            conversations=[message.conversation_id for message in self.messages],
            times=[(message.occurred_at, message.recorded_at) for message in self.messages],
            words=self.words,
            scores=self.combined_scores,
            by_assistant=self.by_assistant,
        )

    def spread(self, values: Sequence[float] | Floats) -> Floats:
        """Return values of the analysed candidates as a column, 0 for the others."""
        found = self.zeros()
        found[self.analysed] = values
        return found
