"""What cosines mean in a space is measured once, as soon as the provider answers."""

import logging
from collections.abc import Sequence

import pytest
from unit.embedded_pairs import embedded_pairs
from unit.manual_clock import ManualClock

from memstream.retriever.measured_calibration import MeasuredCalibration
from memstream.retriever.ranking import ANSWERS, QUESTIONS, calibration_of, scale_of
from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Unavailable
from memstream.vectors.space import Vectors

UNKNOWN = "another-model_1536_t1"
KNOWN = "all-MiniLM-L6-v2_384_t1"


class Provider:
    """Embeds the questions and answers, after it has failed as often as it is told."""

    def __init__(self, *failures: MemstreamError, answering: float = 0.85) -> None:
        self.failures = list(failures)
        self.asked: list[tuple[str, ...]] = []
        self._questions, self._answers = embedded_pairs(0.7, answering)

    async def queries(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of the questions."""
        self.asked.append(tuple(texts))
        if self.failures:
            raise self.failures.pop(0)
        return self._questions

    async def passages(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of the answers."""
        self.asked.append(tuple(texts))
        return self._answers


async def measured(provider: Provider, clock: ManualClock, space: str = UNKNOWN) -> MeasuredCalibration:
    """Return the calibration of a space after it was measured."""
    calibration = MeasuredCalibration(calibration_of(space), clock)
    await calibration.measure(provider.queries, provider.passages)
    return calibration


async def test_until_it_is_measured_a_space_has_the_scale_of_another_and_says_so() -> None:
    calibration = MeasuredCalibration(calibration_of(UNKNOWN), ManualClock())

    assert calibration.current.is_default
    assert calibration.current.scale == scale_of(KNOWN)


async def test_it_is_measured_once_with_a_few_questions_and_their_answers() -> None:
    provider, clock = Provider(), ManualClock()

    calibration = await measured(provider, clock)
    await calibration.measure(provider.queries, provider.passages)

    current = calibration.current
    assert (current.scale.unrelated, current.scale.answering) == pytest.approx((0.7, 0.85), abs=1e-6)
    assert not current.is_default
    assert current.both == calibration_of(UNKNOWN).both
    assert provider.asked == [QUESTIONS, ANSWERS]
    assert clock.slept == []


async def test_nothing_is_measured_where_it_is_known_what_cosines_mean() -> None:
    provider = Provider()

    calibration = await measured(provider, ManualClock(), KNOWN)

    assert provider.asked == []
    assert calibration.current == calibration_of(KNOWN)


async def test_while_the_provider_does_not_answer_it_is_tried_again_every_30_seconds() -> None:
    clock = ManualClock()
    provider = Provider(Unavailable("the provider", "down"), GlobalFault("the provider", "no key"))

    calibration = await measured(provider, clock)

    assert clock.slept == [30.0, 30.0]
    assert provider.asked == [QUESTIONS] * 3 + [ANSWERS]
    assert not calibration.current.is_default


@pytest.mark.parametrize("provider", [Provider(Rejected("too long")), Provider(answering=0.6), Provider(answering=0.7)])
async def test_what_can_not_be_measured_stays_as_it_is_and_is_logged(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    with caplog.at_level(logging.WARNING):
        calibration = await measured(provider, clock)

    assert calibration.current.is_default
    assert clock.slept == []
    assert "could not be measured" in caplog.text
