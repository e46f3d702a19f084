"""The public keys of a token issuer (JWKS): read from a URL or a file, and again when they may have changed."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx2
import jwt

from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable
from memstream.runtime.tls import context_for

_log = logging.getLogger(__name__)

DEPENDENCY = "the key set of the token issuer"

_MAX_BYTES = 1024 * 1024
_MAX_KEYS = 100
"""Bounds of a key set. Those of large issuers have a dozen keys in a few kilobytes."""

_TIMEOUT_SECONDS = 5.0

PublicKeys = Mapping[tuple[str, str], jwt.PyJWK]
"""Keys by their id and the one algorithm that they are for."""


class KeyDocument(Protocol):
    """Where a key set is read from."""

    async def read(self) -> bytes:
        """Return its JSON.

        Raises:
            Unavailable: it can't be read now.

        """

    async def aclose(self) -> None:
        """Close its connections."""


class KeyFile:
    """A key set in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> bytes:
        """See `KeyDocument`."""
        try:
            return await asyncio.to_thread(self._path.read_bytes)
        except OSError as error:
            raise Unavailable(DEPENDENCY, f"{self._path}: {error.strerror or error}") from error

    async def aclose(self) -> None:
        """See `KeyDocument`."""


class KeyUrl:
    """A key set that an issuer serves. No redirect is followed, and no more is read than a key set needs."""

    def __init__(
        self, url: str, transport: httpx2.AsyncBaseTransport | None = None, ca_file: Path | None = None
    ) -> None:
        """`transport` takes the place of the library's own; `ca_file` has the authorities that are trusted.

        Raises:
            ConfigurationError: the file is of no use for this URL.

        """
        self._url = url
        # A key set is small: nothing is gained by compression, which could make much of little.
        headers = {"accept-encoding": "identity"}
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
            transport=transport,
            verify=context_for(url, ca_file) or True,
        )

    async def read(self) -> bytes:
        """See `KeyDocument`."""
        try:
            # The library's timeout is for each piece; this one is for all of them.
            async with asyncio.timeout(2 * _TIMEOUT_SECONDS), self._client.stream("GET", self._url) as response:
                if response.status_code != httpx2.codes.OK:
                    raise Unavailable(DEPENDENCY, f"{self._url} answered {response.status_code}")
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _MAX_BYTES:
                        raise Unavailable(DEPENDENCY, f"{self._url} sent more than {_MAX_BYTES} bytes")
        except (httpx2.HTTPError, TimeoutError) as error:
            raise Unavailable(DEPENDENCY, f"{self._url}: {type(error).__name__}") from error
        return bytes(body)

    async def aclose(self) -> None:
        """See `KeyDocument`."""
        await self._client.aclose()


def read_keys(document: bytes, algorithms: Sequence[str]) -> PublicKeys:
    """Return the keys of a key set that may verify a token by one of the algorithms. Others are left out.

    A key is for one algorithm: the one it names, or else the usual one of its type. So no key can be used in another
    way than its issuer meant, whatever a token says.

    Raises:
        ValueError: it is not a key set.

    """
    try:
        listed = json.loads(document)["keys"]
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("it has no `keys`") from error
    if not isinstance(listed, list):
        raise TypeError("`keys` is not a list")
    found: dict[tuple[str, str], jwt.PyJWK] = {}
    for item in listed[:_MAX_KEYS]:
        key = _public_key(item, algorithms)
        if key is not None:
            found.setdefault((item["kid"], key.algorithm_name), key)
    return found


def _public_key(item: Any, algorithms: Sequence[str]) -> jwt.PyJWK | None:  # noqa: ANN401 - any JSON
    if not isinstance(item, dict) or not isinstance(item.get("kid"), str):
        return None
    try:
        if item.get("use", "sig") != "sig" or "verify" not in item.get("key_ops", ["verify"]):
            return None
        key = jwt.PyJWK(item)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    is_usable = key.algorithm_name in algorithms and key.Algorithm.check_key_length(key.key) is None
    return key if is_usable else None


class KeySet:
    """The keys of one issuer, kept as long as they can't be read again.

    They are read again when they are older than `lifetime` seconds, or when a token names an unknown key; but not more
    often than every `pause` seconds, whatever is asked for.
    """

    def __init__(
        self,
        document: KeyDocument,
        algorithms: Sequence[str],
        clock: Clock,
        *,
        lifetime: float = 300.0,
        pause: float = 10.0,
    ) -> None:
        self._document = document
        self._algorithms = algorithms
        self._clock = clock
        self._lifetime = lifetime
        self._pause = pause
        self._keys: PublicKeys = {}
        self._known_document: bytes | None = None
        self._read_at = -float("inf")
        self._tried_at = -float("inf")
        self._failure: Unavailable | None = None
        self._reading: asyncio.Task[None] | None = None
        self.version = 0
        """Grows when the keys have changed."""

    async def find(self, key_id: str, algorithm: str) -> jwt.PyJWK | None:
        """Return a key; None if the issuer has no such key.

        Raises:
            Unavailable: it is not among the known ones, and they can't be read now.

        """
        found = self._keys.get((key_id, algorithm))
        if found is not None:
            self.keep_fresh()
            return found
        if (reading := self._begin()) is not None:
            # Others may wait for the same answer: this caller's end is not theirs.
            await asyncio.shield(reading)
        found = self._keys.get((key_id, algorithm))
        if found is None and self._failure is not None:
            raise Unavailable(DEPENDENCY, "can't be read", self._pause) from self._failure
        return found

    def keep_fresh(self) -> None:
        """Read the keys again in the background if they are old."""
        if self._clock.monotonic() - self._read_at >= self._lifetime:
            self._begin()

    async def aclose(self) -> None:
        """Stop reading, and close the connections."""
        if self._reading is not None:
            self._reading.cancel()
        await self._document.aclose()

    def _begin(self) -> "asyncio.Task[None] | None":
        """Return the reading in progress, or a new one if there may be one yet."""
        if self._reading is not None and not self._reading.done():
            return self._reading
        now = self._clock.monotonic()
        if now - self._tried_at < self._pause:
            return None
        self._tried_at = now
        self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        try:
            document = await self._document.read()
            found = read_keys(document, self._algorithms)
        except Unavailable as error:
            self._failure = error
        except (ValueError, TypeError) as error:
            self._failure = Unavailable(DEPENDENCY, f"not a key set: {error}")
        else:
            self._failure = None
            self._read_at = self._clock.monotonic()
            if document != self._known_document:
                self._keys, self._known_document = found, document
                self.version += 1
            return
        _log.warning("tokens with keys that are not known yet can't be verified: %s", self._failure)
