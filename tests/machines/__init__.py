"""Memstream on several hosts of this machine: two of each service, a Redis group, three Qdrant nodes and the proxy."""
