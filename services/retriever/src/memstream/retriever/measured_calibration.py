"""The calibration in use. What cosines mean in its embedding space is measured once, if that is not known."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from memstream.retriever.ranking import ANSWERS, QUESTIONS, Calibration, measured_scale
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault, Rejected, Unavailable
from memstream.vectors.space import Vectors

_log = logging.getLogger(__name__)

_SECONDS = 30.0
"""Between attempts, while the provider does not answer."""

Embed = Callable[[Sequence[str]], Awaitable[Vectors]]


class MeasuredCalibration:
    """Holds a calibration. Until its scale is measured, it is that of another space, and says so."""

    def __init__(self, calibration: Calibration, clock: Clock) -> None:
        self.current = calibration
        self._clock = clock

    async def measure(self, embed_queries: Embed, embed_passages: Embed) -> None:
        """Measure what cosines mean, if that is not known: two calls of the provider, tried until they are answered."""
        while self.current.is_default:
            try:
                questions, answers = await embed_queries(QUESTIONS), await embed_passages(ANSWERS)
                scale = measured_scale(questions, answers)
            except (Unavailable, GlobalFault) as error:
                _log.info("what cosines mean is measured later: %s", error)
                await self._clock.sleep(_SECONDS)
            except (Rejected, ValueError) as error:
                _log.warning("what cosines mean in this embedding space could not be measured: %s", error)
                return
            else:
                self.current = replace(self.current, scale=scale, is_default=False)
                _log.info(
                    "unrelated texts have a mean cosine of %.3f, answers of %.3f", scale.unrelated, scale.answering
                )
