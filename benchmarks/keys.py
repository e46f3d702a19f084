"""Measures what it costs to learn who is calling, within a process: keys and tokens, known and unknown.

    python -m benchmarks.keys [--rounds 5] [--json FILE]

A figure is the CPU time of this process for one request's headers: scheme, digest, look-up, expiry, scope and user.
Only keys that are not cached go to Redis, which is a process of its own; the flood of unknown keys comes from 64
callers at a time.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from random import Random
from types import SimpleNamespace

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.requests import Request

from benchmarks.command import carry_out, say, shared_options
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.site import opened
from memstream.contracts import ids, keys
from memstream.contracts.api_keys import ApiKeyIn
from memstream.ingest.key_registry import KeyRegistry
from memstream.runtime.clock import SystemClock
from memstream.streams.connections import Redis
from memstream.web.bearer import INGEST
from memstream.web.credentials import CredentialSource, KeyRing, digest_of, new_key
from memstream.web.key_sets import KeySet
from memstream.web.tokens import KeysAndTokens, TokenPolicy, Tokens

_NOT_MEASURED = ["HTTP, which comes on top", "an issuer's server: its key set is in memory"]
_KNOWN = 20_000
_TOKENS = 500
_UNKNOWN = 8_000
_CALLERS = 64
_HOT_PATH_MICROSECONDS = 20.0
_ISSUER, _AUDIENCE, _USER = "https://issuer.example/realm", "memstream", "user-1"
_ALGORITHMS = ("RS256", "ES256")
_CLOCK = SystemClock()


class _Document:
    """A key set in memory."""

    def __init__(self, document: bytes) -> None:
        self._document = document

    async def read(self) -> bytes:
        return self._document

    async def aclose(self) -> None:
        """Nothing is open."""


class _Issuer:
    """Signs tokens."""

    def __init__(self) -> None:
        self._keys: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {
            "RS256": rsa.generate_private_key(65537, 2048),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
        }

    def tokens(self, redis: Redis) -> CredentialSource:
        """Return what accepts its tokens beside keys."""
        kinds = jwt.algorithms.get_default_algorithms()
        listed = [
            {**json.loads(kinds[name].to_jwk(key.public_key())), "kid": name, "use": "sig", "key_ops": ["verify"]}
            for name, key in self._keys.items()
        ]
        policy = TokenPolicy(_ISSUER, _AUDIENCE, _ALGORITHMS, 0.0, "tenant", "sub", "scope")
        key_set = KeySet(_Document(json.dumps({"keys": listed}).encode()), _ALGORITHMS, _CLOCK)
        return KeysAndTokens(KeyRing(redis, _CLOCK, fresh=3600.0), Tokens(policy, key_set, _CLOCK))

    def sign(self, algorithm: str, number: int) -> str:
        """Return a new token."""
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "exp": _CLOCK.now() + timedelta(hours=1),
            "tenant": "bench",
            "sub": _USER,
            "scope": "openid profile ingest search",
            "jti": str(number),
        }
        return jwt.encode(claims, self._keys[algorithm], algorithm, headers={"kid": algorithm})


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Measure all cases in each round."""
    async with opened(Provider(), first_port=chosen.first_port) as site:
        await site.start("redis")
        for number in range(1, chosen.rounds + 1):
            say(f"round {number} of {chosen.rounds}")
            await _round(site.redis, record, Random(chosen.seed + number))  # noqa: S311 - ids of a benchmark


async def _round(redis: Redis, record: Record, rng: Random) -> None:
    issuer = _Issuer()
    source = issuer.tokens(redis)
    registry = KeyRegistry(redis, _CLOCK.now, lambda: ids.new_message_id(_CLOCK.now(), rng))
    key = (await registry.create(ApiKeyIn(tenant="bench", user_id=_USER), "benchmark")).key
    limit = {"at_most": _HOT_PATH_MICROSECONDS}
    record.add("a known key", "µs", await _each(source, [key] * _KNOWN), **limit)
    for algorithm in _ALGORITHMS:
        signed = [issuer.sign(algorithm, number) for number in range(_TOKENS)]
        record.add(f"a new token, {algorithm}", "µs", await _each(source, signed))
        record.add(f"a known token, {algorithm}", "µs", await _each(source, signed * (_KNOWN // _TOKENS)), **limit)
    unknown = [new_key() for _ in range(2 * _UNKNOWN)]
    record.add("unknown keys, a trip each", "µs", await _flood(unknown[:_UNKNOWN], lambda one: _trip(redis, one)))
    record.add("unknown keys", "µs", await _flood(unknown[_UNKNOWN:], lambda one: _look_up(source, one)))
    record.add("unknown keys again", "µs", await _flood(unknown[_UNKNOWN:], lambda one: _look_up(source, one)))
    await source.aclose()


async def _each(source: CredentialSource, bearers: Sequence[str]) -> float:
    """Return the CPU microseconds for a request, one after the other; each has a caller's usual headers."""
    requests = {bearer: _request(source, bearer) for bearer in set(bearers)}
    await INGEST(requests[bearers[0]])
    begun = time.process_time()
    for bearer in bearers:
        (await INGEST(requests[bearer])).check_user(_USER)
    return (time.process_time() - begun) / len(bearers) * 1e6


def _request(source: CredentialSource, bearer: str) -> Request:
    headers = [
        (b"host", b"127.0.0.1:8100"),
        (b"accept", b"application/json"),
        (b"accept-encoding", b"gzip, deflate"),
        (b"user-agent", b"memstream-client/0.1.0"),
        (b"content-type", b"application/json"),
        (b"content-length", b"150"),
        (b"authorization", f"Bearer {bearer}".encode()),
    ]
    app = SimpleNamespace(state=SimpleNamespace(parts=SimpleNamespace(ring=source)))
    return Request({"type": "http", "headers": headers, "app": app})


async def _look_up(source: CredentialSource, bearer: str) -> None:
    await source.look_up(bearer)


async def _trip(redis: Redis, bearer: str) -> None:
    await redis.hgetall(keys.credential(digest_of(bearer)))


async def _flood(bearers: Sequence[str], ask: Callable[[str], Awaitable[None]]) -> float:
    """Return the CPU microseconds for a request, with many callers at a time."""

    async def call(first: int) -> None:
        for bearer in bearers[first::_CALLERS]:
            await ask(bearer)

    begun = time.process_time()
    await asyncio.gather(*(call(first) for first in range(_CALLERS)))
    return (time.process_time() - begun) / len(bearers) * 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.keys",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared_options(rounds=5, within=600.0)],
    )
    carry_out("keys", _NOT_MEASURED, measure, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
