"""What cosines mean in an embedding space, measured with a few questions and the messages that answer them. Pure.

One model gives unrelated texts cosines around 0, another around 0.7. So a cosine says something only beside those of
texts of which it is known whether they belong together. Two dozen questions and answers are enough for that.
"""

from datetime import UTC, datetime

import numpy as np

from memstream.retriever.ranking.scores import CosineScale
from memstream.vectors.space import Vectors, render

_SAID_ON = datetime(2024, 5, 6, tzinfo=UTC)

_PAIRS = (
    ("Where did I park the car?", "I left the car on level three of the garage by the station."),
    ("What is my sister allergic to?", "My sister can't have peanuts, she gets a rash from them."),
    ("When is the dentist appointment?", "The dentist has moved us to Thursday at half past nine."),
    ("Which book did you lend me?", "You can keep my copy of the novel about the lighthouse for a while."),
    ("How much was the new sofa?", "We paid eight hundred for the sofa, delivery included."),
    ("What will the team release next?", "Offline mode comes with the next release, the new editor after that."),
    ("Why was the flight cancelled?", "Our plane never took off because of the fog over the airport."),
    ("Who repaired the dishwasher?", "The plumber came by and put a new pump into the dishwasher."),
    ("What does the cat eat in the morning?", "The cat gets half a tin of fish for breakfast."),
    ("How did the marathon go?", "I finished the marathon in just over four hours, my knees hurt."),
    ("What did the doctor say about sleep?", "The doctor wants me in bed by eleven and no screens before that."),
    ("Where are we going on holiday?", "This summer we take the ferry to the islands for two weeks."),
    ("What is the code of the front door?", "To get in downstairs you type 4471 and press the key sign."),
    ("Which language is the new colleague learning?", "Our new colleague takes Portuguese lessons in the evening."),
    ("What should I buy for dinner?", "Get rice, two onions and coconut milk, I am making curry tonight."),
    ("How old is the house?", "Our house was built in 1924, the roof is from the nineties."),
    ("What instrument does the boy next door play?", "The neighbours' son practises the trumpet every afternoon."),
    ("When does the lease end?", "The rental contract runs until the last day of September."),
    ("What went wrong with the printer?", "The printer jams whenever there is thick paper in the tray."),
    ("Who won the chess tournament at school?", "The girl from the parallel class beat everybody at chess."),
    ("What colour will the bedroom be?", "We are painting the bedroom a pale green next weekend."),
    ("How is the garden doing?", "The tomatoes are ripe, but snails have eaten all the lettuce."),
    ("Which bank did we open the account with?", "Our savings are now with the cooperative bank on the square."),
    ("What did the customer complain about?", "The client was angry that the parcel came late and open."),
)

_LEAST = 0.001
"""A smaller difference is one of rounding: a provider that gives all texts the same vector tells nothing apart."""

QUESTIONS = tuple(question for question, _ in _PAIRS)
ANSWERS = tuple(render(text, speaker=None, role="user", occurred_at=_SAID_ON) for _, text in _PAIRS)
"""In the order of the questions, as messages are embedded."""


def measured_scale(questions: Vectors, answers: Vectors) -> CosineScale:
    """Return what cosines mean, from the vectors of `QUESTIONS` and of `ANSWERS`.

    Raises:
        ValueError: the answers are no nearer to their questions than other messages are.

    """
    cosines = _unit(questions) @ _unit(answers).T
    answering = float(np.diag(cosines).mean())
    unrelated = float((cosines.sum() - np.diag(cosines).sum()) / (cosines.size - len(cosines)))
    if answering - unrelated < _LEAST:
        raise ValueError("answers are no nearer to their questions than other messages are")
    return CosineScale(unrelated, answering)


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
