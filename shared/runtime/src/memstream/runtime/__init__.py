"""Clock, backoff, deadline, Redis streams, telemetry and health of a Memstream service."""
