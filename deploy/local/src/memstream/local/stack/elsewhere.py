"""Servers that a local stack uses and does not start."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from memstream.local.stack.failure import CannotStart

_SCHEMES = {
    "--redis-url": ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
    "--qdrant-url": ("http", "https"),
    "--embeddings-url": ("http", "https"),
}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where they are; the stack starts its own in place of each one that is None."""

    redis_url: str | None = None
    """With the password, if there is one."""
    qdrant_url: str | None = None
    qdrant_api_key: str | None = None
    embeddings_url: str | None = None
    """The base URL for an OpenAI client."""
    embeddings_api_key: str | None = None


NOTHING_ELSEWHERE = Elsewhere()


def require_url(option: str, url: str | None) -> str | None:
    """Return the URL of a server as an option has it.

    Raises:
        CannotStart: it is none.

    """
    if url is None:
        return None
    schemes = _SCHEMES[option]
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname:
        raise CannotStart(f"{option} is no URL of such a server: it begins with {schemes[0]}:// and has a host")
    return url


def with_password(url: str | None, password: str | None) -> str | None:
    """Return the URL of a Redis with this password in it."""
    if url is None or password is None:
        return url
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:{quote(password, safe='')}@{hosts}").geturl()


def read_secret(option: str, file: Path | None) -> str | None:
    """Return the secret in a file, without what stands around it.

    Raises:
        CannotStart: it can't be read, or is empty.

    """
    if file is None:
        return None
    try:
        secret = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"{option}: {file} can't be read: {error}") from error
    if not secret:
        raise CannotStart(f"{option}: {file} is empty")
    return secret
