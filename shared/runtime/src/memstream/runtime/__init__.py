"""Clock, backoff, deadline, settings, telemetry and health of a Memstream service."""
