"""What the HTTP services share: problem details, bearer keys, health and metrics routes."""
