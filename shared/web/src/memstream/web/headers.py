"""Reading a request's headers."""

from starlette.requests import Request


def header(request: Request, name: bytes) -> str:
    """Give the first header of a name in small letters; "" when there is none.

    The framework's mapping decodes all names for each look, which takes longer than most of what is done with them.
    """
    value: bytes
    for key, value in request.scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return ""
