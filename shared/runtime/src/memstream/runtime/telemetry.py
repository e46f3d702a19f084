"""Logs and metrics. Neither contains the text of a message or the id of a user."""

import logging
import sys
import traceback
from types import TracebackType

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

METRICS_MEDIA_TYPE = CONTENT_TYPE_LATEST

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds."""


class TextlessFormatter(logging.Formatter):
    """Formats exceptions without their texts: any library may quote what a user said in an exception.

    What remains is where and which exceptions were raised. What Memstream logs itself is formatted as it is.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line or lines of a record."""
        if record.exc_info and record.name == "asyncio":
            # Behind its first line are the task and its exception.
            record = logging.makeLogRecord(
                {**vars(record), "msg": record.getMessage().partition("\n")[0], "args": None}
            )
        return super().format(record)

    def formatException(  # noqa: N802 - the name in logging
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Return an exception and its causes, innermost first, each with its traceback and type."""
        return "\n".join(_textless(ei[1])) if ei[1] is not None else ""


def _textless(error: BaseException) -> list[str]:
    lines: list[str] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        lines += [*_textless(cause), "then:"]
    lines += "".join(traceback.format_tb(error.__traceback__)).splitlines()
    lines.append(f"{type(error).__module__}.{type(error).__qualname__}")
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            lines += [f"| {line}" for line in _textless(member)]
    return lines


def _log_end(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    """Log what ends the process, in place of Python's own report."""
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger(__name__).critical("the process ends", exc_info=(kind, error, at))


def configure_logging(service: str, level: str) -> None:
    """Log to stderr, one line for each event: time, level, service, logger, text. Texts of exceptions are left out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextlessFormatter(f"%(asctime)s %(levelname)s {service} %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    sys.excepthook = _log_end


def render(registry: CollectorRegistry) -> bytes:
    """Return a registry's metrics in Prometheus' text format."""
    return generate_latest(registry)
