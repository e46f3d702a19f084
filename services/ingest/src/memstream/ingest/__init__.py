"""Accepts messages over HTTP and appends them to Redis streams."""
