"""TLS to other servers: whose certificates are trusted."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from memstream.runtime.errors import ConfigurationError


def trusting(ca_file: Path) -> ssl.SSLContext:
    """Return a context for clients that trusts the authorities in a PEM file, and no others.

    It asks for a certificate, and that this names the server.

    Raises:
        ConfigurationError: the file can't be read, or has no certificate.

    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ConfigurationError(f"{ca_file} has no certificate in PEM format") from error
    except OSError as error:
        raise ConfigurationError(f"{ca_file} can't be read: {error.strerror}") from error


def _usable(ca_file: Path) -> Path:
    try:
        trusting(ca_file)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error
    return ca_file


CaFile = Annotated[Path, AfterValidator(_usable)]
"""A setting: a PEM file with the certificates of the authorities that a server's certificate may come from."""


def context_for(url: str, ca_file: Path | None) -> ssl.SSLContext | None:
    """Return a context for a server that has authorities of its own; None if the system's are trusted.

    Raises:
        ConfigurationError: the file is not usable, or the URL is one without TLS.

    """
    if ca_file is None:
        return None
    scheme, _, _ = url.partition("://")
    # `rediss+sentinel` is Redis with TLS, found by Sentinel.
    protocol, plus, rest = scheme.partition("+")
    if protocol not in {"https", "rediss"}:
        secure = _SECURE.get(protocol, "https") + plus + rest
        raise ConfigurationError(f"{ca_file} is of no use for a {scheme} URL: use {secure}")
    return trusting(ca_file)


_SECURE = {"http": "https", "redis": "rediss"}
