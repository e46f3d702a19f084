"""Tokens (JWT) of an identity provider: verified by its public keys, and read as a tenant's credential."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from cachetools import LRUCache
from pydantic import TypeAdapter, ValidationError

from memstream.contracts.api_keys import TENANT_SCOPES, Scope
from memstream.contracts.ids import Tenant, UserId
from memstream.runtime.clock import Clock
from memstream.web.credentials import Credential, CredentialSource
from memstream.web.key_sets import KeySet

_CACHED_TOKENS = 10_000
_LAST_SECOND = 253_402_300_799
"""The last second that Python's calendar has."""

_TENANT: TypeAdapter[str] = TypeAdapter(Tenant)
_USER: TypeAdapter[str] = TypeAdapter(UserId)


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """Which tokens are valid, and what their claims mean."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    leeway: float
    """Seconds that the issuer's clock and this one may differ."""
    tenant_claim: str
    user_claim: str | None
    """Every token needs it, and is bound to this user. None: tokens act for all users of their tenant."""
    scopes_claim: str


class Tokens:
    """Verifies tokens. A token that was verified is remembered until it expires or the issuer's keys change."""

    def __init__(self, policy: TokenPolicy, key_set: KeySet, clock: Clock) -> None:
        self._policy = policy
        self._keys = key_set
        self._clock = clock
        self._jwt = jwt.PyJWT({"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True})
        self._verified: LRUCache[bytes, tuple[int, Credential]] = LRUCache(_CACHED_TOKENS)

    async def look_up(self, bearer: str) -> Credential | None:
        """See `CredentialSource`. A token that is not valid, for whatever reason, is None."""
        digest = hashlib.sha256(bearer.encode()).digest()
        try:
            version, credential = self._verified[digest]
        except KeyError:
            pass
        else:
            self._keys.keep_fresh()
            if version == self._keys.version:
                return None if credential.has_expired(self._clock) else credential
        verified = await self._verify(bearer)
        if verified is None or verified.has_expired(self._clock):
            return None
        self._verified[digest] = self._keys.version, verified
        return verified

    async def aclose(self) -> None:
        """See `CredentialSource`."""
        await self._keys.aclose()

    async def _verify(self, token: str) -> Credential | None:
        policy = self._policy
        try:
            header = jwt.get_unverified_header(token)
            algorithm, key_id = header.get("alg"), header.get("kid")
            if algorithm not in policy.algorithms or not isinstance(key_id, str):
                return None
            key = await self._keys.find(key_id, algorithm)
            if key is None:
                return None
            claims = self._jwt.decode(
                token,
                key,
                algorithms=policy.algorithms,
                audience=policy.audience,
                issuer=policy.issuer,
                leeway=policy.leeway,
            )
            return credential_of(claims, policy)
        except (jwt.PyJWTError, ValueError):
            return None


def credential_of(claims: Mapping[str, Any], policy: TokenPolicy) -> Credential:
    """Return what verified claims stand for. A token never has the scope `admin`, and unknown scopes mean nothing.

    Raises:
        ValueError: it names no tenant, or no user though it has to.

    """
    try:
        tenant = _TENANT.validate_python(claims.get(policy.tenant_claim))
        user = None if policy.user_claim is None else _USER.validate_python(claims.get(policy.user_claim))
    except ValidationError as error:
        raise ValueError("the token names no tenant, or no user") from error
    return Credential(
        tenant,
        _scopes(claims.get(policy.scopes_claim)),
        user,
        expires_at=datetime.fromtimestamp(min(int(claims["exp"]) + policy.leeway, _LAST_SECOND), UTC),
    )


def _scopes(claim: object) -> frozenset[Scope]:
    """Return the scopes of a claim: one text with blanks between them (RFC 8693, section 4.2), or a list of texts."""
    listed = claim.split(" ") if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(scope for scope in TENANT_SCOPES if scope in listed)


class KeysAndTokens:
    """Looks up API keys, and verifies what has the form of a token. No key has that form."""

    def __init__(self, keys: CredentialSource, tokens: CredentialSource) -> None:
        self._keys = keys
        self._tokens = tokens

    async def look_up(self, bearer: str) -> Credential | None:
        """See `CredentialSource`."""
        return await (self._tokens if bearer.count(".") == 2 else self._keys).look_up(bearer)  # noqa: PLR2004 - header, claims, signature

    async def aclose(self) -> None:
        """See `CredentialSource`."""
        await self._keys.aclose()
        await self._tokens.aclose()
