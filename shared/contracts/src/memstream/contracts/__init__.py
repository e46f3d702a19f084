"""What Memstream's parts say to each other: events, keys, HTTP bodies and ids.

Needs pydantic and nothing else, so a producer or a consumer of the streams can depend on it alone.
"""
