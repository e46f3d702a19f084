"""Logs and metrics. Neither contains the text of a message or the id of a user."""

import logging
import sys

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

METRICS_MEDIA_TYPE = CONTENT_TYPE_LATEST

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds."""


def configure_logging(service: str, level: str) -> None:
    """Log to stderr, one line for each event: time, level, service, logger, text."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {service} %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def render(registry: CollectorRegistry) -> bytes:
    """Return a registry's metrics in Prometheus' text format."""
    return generate_latest(registry)
