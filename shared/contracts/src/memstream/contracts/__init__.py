"""The formats that Memstream's services share: events, Redis keys, HTTP bodies and ids.

It depends on pydantic alone, so a producer or a consumer of the streams can use it without the services.
"""
