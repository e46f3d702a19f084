"""The Python client of Memstream and its command line."""
