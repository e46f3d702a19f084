"""Keys and tokens, put together from settings that ingest and the retriever share: both accept the same callers."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, HttpUrl, model_validator
from pydantic_settings import BaseSettings, NoDecode

from memstream.runtime.clock import Clock
from memstream.runtime.configuration import Duration
from memstream.runtime.errors import ConfigurationError
from memstream.runtime.tls import CaFile
from memstream.streams.connections import Redis
from memstream.web.credentials import CredentialSource, KeyRing
from memstream.web.key_sets import KeyDocument, KeyFile, KeySet, KeyUrl, read_keys
from memstream.web.tokens import KeysAndTokens, TokenPolicy, Tokens

Algorithm = Literal["RS256", "ES256", "EdDSA"]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def _unset_if_empty(value: object) -> object:
    return None if value == "" else value


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


_Text = Annotated[str | None, BeforeValidator(_unset_if_empty)]


class TokenSettings(BaseSettings):
    """Settings of tokens; a service adds its own, and its prefix. Without an issuer, only API keys are accepted."""

    jwt_issuer: _Text = None
    """The issuer that tokens name (`iss`), as it writes itself."""
    jwt_audience: _Text = None
    """The audience that tokens name (`aud`): what the identity provider calls this installation."""
    jwt_jwks_url: Annotated[HttpUrl | None, BeforeValidator(_unset_if_empty)] = None
    """Where the issuer serves its public keys, by HTTPS; by HTTP on this machine only."""
    jwt_jwks_file: Annotated[Path | None, BeforeValidator(_unset_if_empty)] = None
    """A file with its public keys, instead of the URL."""
    jwt_jwks_ca_file: Annotated[CaFile | None, BeforeValidator(_unset_if_empty)] = None
    """The authorities that the certificate of the URL's server may come from; unset: the system's."""
    jwt_algorithms: Annotated[list[Algorithm], NoDecode, BeforeValidator(_split)] = Field(
        default=["RS256", "ES256", "EdDSA"], min_length=1
    )
    """Algorithms that signatures may have, with commas between them."""
    jwt_leeway: Duration = Field(default=timedelta(seconds=30), ge=timedelta(0), le=timedelta(minutes=10))
    """How far the clocks of issuer and service may differ."""
    jwt_tenant_claim: str = Field(default="tenant", min_length=1)
    """The claim that names the tenant."""
    jwt_user_claim: str = Field(default="sub", min_length=1)
    """The claim that names the user. Every token needs it, and reads and writes as this user only."""
    jwt_any_user: bool = False
    """Tokens act for all users of their tenant instead; then they need no user."""
    jwt_scopes_claim: str = Field(default="scope", min_length=1)
    """The claim with the scopes: `ingest`, `search` and `delete`, as a text with blanks between them or as a list."""

    @model_validator(mode="after")
    def _check_tokens(self) -> Self:
        given = (self.jwt_issuer, self.jwt_audience, self.jwt_jwks_url or self.jwt_jwks_file)
        names = [f"{self.model_config.get('env_prefix', '')}JWT_{name}" for name in ("ISSUER", "AUDIENCE", "JWKS_URL")]
        if any(given) and not all(given):
            raise ValueError(f"{', '.join(names)} (or …_JWKS_FILE): all of them, or none")
        url = self.jwt_jwks_url
        if url is not None and self.jwt_jwks_file is not None:
            raise ValueError(f"{names[2]} or …_JWKS_FILE: not both")
        if url is not None and url.scheme != "https" and url.host not in _LOOPBACK:
            raise ValueError(f"{names[2]}: use https, or anybody on the way can make tokens")
        return self


def open_credentials(settings: TokenSettings, redis: Redis, clock: Clock) -> CredentialSource:
    """Return what knows the callers of a service: API keys, and tokens if an issuer is set.

    Raises:
        ConfigurationError: the file with the issuer's keys can't be used.

    """
    ring = KeyRing(redis, clock)
    if settings.jwt_issuer is None or settings.jwt_audience is None:
        return ring
    policy = TokenPolicy(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        algorithms=tuple(settings.jwt_algorithms),
        leeway=settings.jwt_leeway.total_seconds(),
        tenant_claim=settings.jwt_tenant_claim,
        user_claim=None if settings.jwt_any_user else settings.jwt_user_claim,
        scopes_claim=settings.jwt_scopes_claim,
    )
    return KeysAndTokens(ring, Tokens(policy, KeySet(_document(settings), policy.algorithms, clock), clock))


def _document(settings: TokenSettings) -> KeyDocument:
    path, name = settings.jwt_jwks_file, f"{settings.model_config.get('env_prefix', '')}JWT_JWKS_FILE"
    if path is None:
        return KeyUrl(str(settings.jwt_jwks_url), ca_file=settings.jwt_jwks_ca_file)
    try:
        found = read_keys(path.read_bytes(), settings.jwt_algorithms)
    except (OSError, ValueError, TypeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigurationError(f"set {name} to a file with a key set (JWKS): {path}: {reason}") from None
    if not found:
        algorithms = ", ".join(settings.jwt_algorithms)
        raise ConfigurationError(
            f"set {name} to a file with a key set (JWKS): {path} has no key with an id for {algorithms}"
        )
    return KeyFile(path)
