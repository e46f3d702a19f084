"""Listening sockets."""

import socket

from memstream.runtime.errors import ConfigurationError


def listen(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Return a bound socket. With `reuse_port`, several processes share the port; the kernel distributes connections.

    Raises:
        ConfigurationError: the address cannot be bound.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"can't listen on {host}:{port}: {error.strerror or error}; choose another port"
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library takes it by position
    return listener
