"""What the HTTP services share: problem details, bearer keys, bodies, health and metrics routes."""
