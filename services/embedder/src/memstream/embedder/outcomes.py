"""What happens to an entry once its outcome is known: it is settled in Redis and counted."""

import logging
from collections.abc import Sequence

from memstream.embedder.jobs import Dead, Settled
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.retries import Retrier
from memstream.embedder.settlement import Settlement

_log = logging.getLogger(__name__)


class Outcomes:
    """Settles entries, however long Redis is out of reach."""

    def __init__(self, settlement: Settlement, retrying: Retrier, metrics: EmbedderMetrics) -> None:
        self._settlement = settlement
        self._retrying = retrying
        self._metrics = metrics

    async def settle(self, settled: Sequence[Settled]) -> None:
        """Tell Redis the outcomes of entries."""
        await self._retrying.until_success(lambda: self._settlement.settle(settled))
        for one in settled:
            self._metrics.messages.labels(type(one.outcome).__name__.lower()).inc()
            if isinstance(one.outcome, Dead):
                _log_dead_letter(one, one.outcome)


def _log_dead_letter(settled: Settled, dead: Dead) -> None:
    delivery = settled.delivery
    # Without the reason, which may quote the message. It is in the dead letter, for operators.
    _log.error("dead letter: %s %s, %s", delivery.stream, delivery.entry_id, dead.dead_class)
