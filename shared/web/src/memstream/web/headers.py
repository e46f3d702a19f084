"""Reading a request's headers."""

from starlette.requests import Request


def header(request: Request, name: bytes) -> str:
    """Return the first header with this name, in lower case, or "" if there is none.

    Starlette's mapping decodes every header name on each look-up, which takes longer than most of the work here.
    """
    value: bytes
    for key, value in request.scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return ""
