"""Tokens of an identity provider: which are valid, what they may do, and what holds while its keys can't be read."""

import asyncio
import base64
import hmac
import json
import string
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from unit.manual_clock import ManualClock

from memstream.contracts.api_keys import TENANT_SCOPES
from memstream.runtime.errors import Unavailable
from memstream.web.credentials import Credential
from memstream.web.key_sets import KeySet, KeyUrl, read_keys
from memstream.web.tokens import KeysAndTokens, TokenPolicy, Tokens

ISSUER, AUDIENCE = "https://id.example/realm", "memstream"
ALGORITHMS = ("RS256", "ES256", "EdDSA")
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

MAKERS: Mapping[str, Callable[[], PrivateKey]] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@cache
def private(algorithm: str, holder: str = "issuer") -> PrivateKey:
    """Make a private key, once for each holder."""
    assert holder
    return MAKERS[algorithm]()


def public(algorithm: str, key_id: str | None = None, holder: str = "issuer", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Write a public key as key sets do."""
    kinds = jwt.algorithms.get_default_algorithms()
    written = json.loads(kinds[algorithm].to_jwk(private(algorithm, holder).public_key()))
    return {
        **{name: written[name] for name in written if name != "key_ops"},
        "kid": key_id or algorithm,
        **fields,
    }


def now() -> datetime:
    """Read the clock that the library reads."""
    return datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - as the library does


def token(
    algorithm: str = "ES256",
    *,
    key_id: str | None = None,
    holder: str = "issuer",
    sign_by: Any = None,  # noqa: ANN401 - a key of any kind
    **claims: Any,  # noqa: ANN401 - any JSON
) -> str:
    """Make a token: a valid one, unless the arguments say otherwise. A claim that is None is left out."""
    given = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": now() + timedelta(minutes=5),
        "tenant": "acme",
        "sub": "ana",
        "scope": "ingest search",
        **claims,
    }
    payload = {name: value for name, value in given.items() if value is not None}
    key = sign_by if sign_by is not None else private(algorithm, holder)
    return jwt.encode(payload, key, algorithm, headers={"kid": key_id or algorithm})


class Document:
    """A key set that a test changes, and that can be out of reach."""

    def __init__(self, *keys: Mapping[str, Any]) -> None:
        self.keys = list(keys)
        self.is_away = False
        self.reads = 0

    async def read(self) -> bytes:
        """Answer."""
        self.reads += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise Unavailable("key set", "away")
        return json.dumps({"keys": self.keys}).encode()

    async def aclose(self) -> None:
        """Have nothing to close."""


class Desk:
    """Tokens with their key set and a clock, which stands at the present unless it is moved on."""

    def __init__(self, *keys: Mapping[str, Any], **policy: Any) -> None:  # noqa: ANN401 - any field
        self.document = Document(*(keys or [public(algorithm) for algorithm in ALGORITHMS]))
        self.clock = ManualClock(now())
        chosen: dict[str, Any] = {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "algorithms": ALGORITHMS,
            "leeway": 5.0,
            "tenant_claim": "tenant",
            "user_claim": "sub",
            "scopes_claim": "scope",
            **policy,
        }
        self.policy = TokenPolicy(**chosen)
        self.tokens = Tokens(self.policy, KeySet(self.document, self.policy.algorithms, self.clock), self.clock)

    async def look_up(self, bearer: str) -> Credential | None:
        """Ask what a token stands for."""
        return await self.tokens.look_up(bearer)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_valid_token_says_tenant_user_and_scopes(algorithm: str) -> None:
    expires = now() + timedelta(minutes=5)

    found = await Desk().look_up(token(algorithm, exp=expires))

    assert found == Credential("acme", TENANT_SCOPES - {"delete"}, "ana", expires_at=expires + timedelta(seconds=5))


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        ("search", {"search"}),
        ("openid  delete search profile", {"search", "delete"}),
        (["ingest", "delete"], {"ingest", "delete"}),
        (["ingest", 7, None, ["search"], {"search": 1}], {"ingest"}),
        ("admin", set()),
        ("admin search", {"search"}),
        (["admin"], set()),
        ("Search INGEST", set()),
        ("", set()),
        (None, set()),
        (7, set()),
        ({"search": True}, set()),
    ],
)
async def test_scopes_are_a_text_or_a_list_and_never_admin(claim: object, scopes: set[str]) -> None:
    found = await Desk().look_up(token(scope=claim))

    assert found is not None
    assert found.scopes == scopes


async def test_claims_have_the_names_that_are_set() -> None:
    desk = Desk(tenant_claim="https://x/tenant", user_claim="email", scopes_claim="permissions")
    claims: dict[str, Any] = {"https://x/tenant": "globex", "email": "ana@globex", "permissions": ["delete"]}

    found = await desk.look_up(token(**claims))

    assert found is not None
    assert (found.tenant, found.user_id, list(found.scopes)) == ("globex", "ana@globex", ["delete"])


async def test_without_a_user_claim_tokens_act_for_all_users() -> None:
    found = await Desk(user_claim=None).look_up(token())

    assert found is not None
    assert found.user_id is None
    assert found.may_act_for("anybody")


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://id.example/other"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "others"},
    "other audiences": {"aud": ["others", "memstream2"]},
    "no audience": {"aud": None},
    "expired": {"exp": timedelta(seconds=-6)},
    "no expiry": {"exp": None},
    "an expiry that is none": {"exp": "soon"},
    "not valid yet": {"nbf": timedelta(seconds=60)},
    "issued in the future": {"iat": timedelta(seconds=60)},
    "no tenant": {"tenant": None},
    "a tenant of another alphabet": {"tenant": "acme/ana"},
    "a tenant that is a list": {"tenant": ["acme"]},
    "no user": {"sub": None},
    "an empty user": {"sub": ""},
    "the user of shared documents": {"sub": "*"},
    "an unprintable user": {"sub": "a\0b"},
    "a user that is too long": {"sub": "x" * 300},
}


@pytest.mark.parametrize("claims", WRONG.values(), ids=WRONG)
async def test_a_token_with_a_wrong_claim_is_refused(claims: dict[str, Any]) -> None:
    moved: dict[str, Any] = {
        name: now() + value if isinstance(value, timedelta) else value for name, value in claims.items()
    }

    assert await Desk().look_up(token(**moved)) is None


@pytest.mark.parametrize("claims", [{"exp": timedelta(seconds=-2)}, {"nbf": timedelta(seconds=2)}])
async def test_clocks_may_differ_by_the_leeway(claims: dict[str, timedelta]) -> None:
    moved: dict[str, Any] = {name: now() + value for name, value in claims.items()}

    assert await Desk().look_up(token(**moved))


@pytest.mark.parametrize("expiry", [10**30, 1e308, 253_402_300_799])
async def test_an_expiry_in_a_very_far_future_is_the_last_there_is(expiry: float) -> None:
    found = await Desk().look_up(token(exp=expiry))

    assert found is not None
    assert found.expires_at == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def in_base64(part: bytes) -> str:
    """Write a part of a token."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def unsigned(header: Mapping[str, Any], signature: bytes = b"") -> str:
    """Write a token with any header and any signature."""
    _, claims, _ = token().split(".")
    return f"{in_base64(json.dumps(header).encode())}.{claims}.{in_base64(signature)}"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "ES256"},
        {"alg": "None", "kid": "ES256"},
        {"alg": "", "kid": "ES256"},
        {"alg": None, "kid": "ES256"},
        {"alg": ["ES256"], "kid": "ES256"},
        {"kid": "ES256"},
        {"alg": "ES256"},
        {"alg": "ES256", "kid": 7},
        {"alg": "ES256", "kid": "ES256"},
        {"alg": "ES256", "kid": "ES256", "crit": ["x"], "x": 1},
        {"alg": "ES256", "kid": "ES256", "b64": False, "crit": ["b64"]},
        [],
        7,
    ],
    ids=str,
)
@pytest.mark.parametrize("signature", [b"", b"\0" * 64])
async def test_a_token_without_a_signature_is_refused(header: Any, signature: bytes) -> None:  # noqa: ANN401 - any JSON
    assert await Desk().look_up(unsigned(header, signature)) is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_public_key_is_no_secret_to_sign_with(algorithm: str) -> None:
    key = private(algorithm).public_key()
    written = json.dumps(public(algorithm)).encode()
    secrets = [key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), written]

    for secret in secrets:
        for kind in ("HS256", "HS384", "HS512"):
            header, claims, _ = unsigned({"alg": kind, "kid": algorithm}).split(".")
            signature = hmac.digest(secret, f"{header}.{claims}".encode(), f"sha{kind[2:]}")
            assert await Desk().look_up(f"{header}.{claims}.{in_base64(signature)}") is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("named", ALGORITHMS)
async def test_a_key_is_for_its_own_algorithm_alone(algorithm: str, named: str) -> None:
    found = await Desk().look_up(token(algorithm, key_id=named))

    assert (found is not None) == (algorithm == named)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_key_of_another_issuer_signs_nothing(algorithm: str) -> None:
    assert await Desk().look_up(token(algorithm, holder="stranger")) is None


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "ES384", "HS256"])
async def test_an_algorithm_that_is_not_listed_is_refused(algorithm: str) -> None:
    key = "x" * 64 if algorithm == "HS256" else private("RS256")
    if algorithm == "ES384":
        key = ec.generate_private_key(ec.SECP384R1())

    assert await Desk().look_up(token(algorithm, key_id="RS256", sign_by=key)) is None


async def test_algorithms_can_be_fewer() -> None:
    desk = Desk(algorithms=("EdDSA",))

    assert await desk.look_up(token("EdDSA"))
    assert await desk.look_up(token("RS256")) is None


async def test_a_key_for_encryption_or_a_shared_secret_is_none() -> None:
    secret = {"kty": "oct", "kid": "s", "k": base64.urlsafe_b64encode(b"x" * 64).decode(), "alg": "HS256"}
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what is to be refused
    short = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(weak.public_key()))
    odd = [{}, 7, None, {"kid": "x"}, {"kid": "x", "kty": "RSA"}, {"kid": "x", "kty": "EC", "crv": "P-256", "x": 1}]
    keys = [
        secret,
        public("RS256", use="enc"),
        public("ES256", key_ops=["sign"]),
        public("ES256", "without operations", key_ops=None),
        {**short, "kid": "short"},
        {name: value for name, value in public("EdDSA").items() if name != "kid"},
        public("RS256", "algorithm", alg="RS512"),
        *odd,
    ]

    assert read_keys(json.dumps({"keys": keys}).encode(), ALGORITHMS) == {}


async def test_two_keys_with_one_id_do_not_take_each_others_place() -> None:
    desk = Desk(public("RS256", "k"), public("ES256", "k"))

    assert await desk.look_up(token("RS256", key_id="k"))
    assert await desk.look_up(token("ES256", key_id="k"))
    assert await desk.look_up(token("EdDSA", key_id="k")) is None


async def test_a_verified_token_is_remembered_until_it_expires() -> None:
    desk = Desk()
    bearer = token(exp=now() + timedelta(seconds=60))
    first = await desk.look_up(bearer)

    assert first is not None
    assert await desk.look_up(bearer) is first
    desk.clock.advance(64)
    assert await desk.look_up(bearer) is first
    desk.clock.advance(1)
    assert await desk.look_up(bearer) is None


async def test_a_changed_token_is_not_the_one_that_is_remembered() -> None:
    desk = Desk()
    bearer = token()
    assert await desk.look_up(bearer)
    header, _, signature = bearer.split(".")
    _, claims, _ = token(sub="ben").split(".")

    assert await desk.look_up(f"{header}.{claims}.{signature}") is None


async def test_a_new_key_of_the_issuer_is_found_at_a_bounded_rate() -> None:
    desk = Desk(public("RS256"))
    assert await desk.look_up(token("RS256"))
    desk.document.keys.append(public("ES256"))
    desk.clock.advance(11)

    assert await desk.look_up(token("ES256"))
    for n in range(100):
        assert await desk.look_up(token("ES256", key_id=f"made up {n}")) is None
        desk.clock.advance(0.5)

    assert desk.document.reads <= 2 + 100 * 0.5 / 10 + 1


async def test_a_key_that_the_issuer_removed_ends_with_the_tokens_it_has_signed() -> None:
    desk = Desk(public("RS256"), public("ES256"))
    bearer = token("ES256", exp=now() + timedelta(days=1))
    assert await desk.look_up(bearer)
    del desk.document.keys[1]

    desk.clock.advance(301)
    assert await desk.look_up(bearer)
    # The look-up above has begun to read in the background; this one waits for that.
    assert await desk.look_up(token("EdDSA")) is None

    assert await desk.look_up(bearer) is None
    assert await desk.look_up(token("RS256", exp=now() + timedelta(days=1)))


async def test_while_the_issuer_is_out_of_reach_known_keys_verify_and_unknown_ones_are_no_ones_fault() -> None:
    desk = Desk(public("RS256"))
    tomorrow = now() + timedelta(days=1)
    assert await desk.look_up(token("RS256"))
    desk.document.is_away = True
    desk.clock.advance(301)

    assert await desk.look_up(token("RS256", sub="ben", exp=tomorrow))
    with pytest.raises(Unavailable):
        await desk.look_up(token("ES256"))
    reads = desk.document.reads
    with pytest.raises(Unavailable):
        await desk.look_up(token("ES256"))
    assert desk.document.reads == reads

    desk.document.is_away = False
    desk.document.keys.append(public("ES256"))
    desk.clock.advance(11)
    assert await desk.look_up(token("ES256", exp=tomorrow))


async def test_callers_who_come_first_together_share_a_reading() -> None:
    desk = Desk()

    found = await asyncio.gather(*(desk.look_up(token(sub=f"user {n}")) for n in range(20)))

    assert all(found)
    assert desk.document.reads == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(500),
        httpx2.Response(302, headers={"location": "https://elsewhere/"}),
        httpx2.Response(200, content=b"{"),
        httpx2.Response(200, content=b"[]"),
        httpx2.Response(200, content=b'{"keys": 7}'),
        httpx2.Response(200, content=b"[" * 100_000),
        httpx2.Response(200, content=b" " * (2 * 1024 * 1024)),
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("late"),
    ],
    ids=repr,
)
async def test_what_is_no_key_set_is_an_issuer_out_of_reach(answer: httpx2.Response | Exception) -> None:
    def answers(_: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = ManualClock()
    keys = KeySet(KeyUrl("https://id.example/keys", httpx2.MockTransport(answers)), ALGORITHMS, clock)

    with pytest.raises(Unavailable):
        await keys.find("k", "ES256")
    await keys.aclose()


async def test_ten_thousand_scopes_are_read_as_those_that_count() -> None:
    listed = [f"scope-{n}" for n in range(10_000)]

    found = await Desk().look_up(token(scope=[*listed, "search"]))
    text = await Desk().look_up(token(scope=" ".join([*listed, "search"])))

    assert found is not None
    assert text is not None
    assert found.scopes == text.scopes == {"search"}


class Only:
    """Knows one bearer."""

    def __init__(self, bearer: str) -> None:
        self._bearer = bearer

    async def look_up(self, bearer: str) -> Credential | None:
        """Look whether it is this one."""
        return Credential("acme") if bearer == self._bearer else None

    async def aclose(self) -> None:
        """Have nothing to close."""


async def test_a_key_is_never_taken_for_a_token_nor_a_token_for_a_key() -> None:
    both = KeysAndTokens(Only("ms_key"), Only("a.b.c"))

    assert await both.look_up("ms_key")
    assert await both.look_up("a.b.c")
    assert await KeysAndTokens(Only("a.b.c"), Only("ms_key")).look_up("a.b.c") is None


DESK = Desk()
PARTS = st.one_of(
    st.text(string.ascii_letters + string.digits + "-_=", max_size=80),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.sampled_from(ALGORITHMS),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5u", "exp", "iss", "aud", "sub", "tenant"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=8,
    ).map(lambda value: in_base64(json.dumps(value).encode())),
)


@given(st.tuples(PARTS, PARTS, PARTS))
async def test_whatever_is_no_signed_token_is_refused(parts: tuple[str, str, str]) -> None:
    assert await DESK.look_up(".".join(parts)) is None


@given(
    st.dictionaries(
        st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "tenant", "sub", "scope", "jti"]),
        st.none()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=10)
        | st.lists(st.text(max_size=5), max_size=3),
    )
)
async def test_claims_of_any_kind_make_a_credential_of_the_right_kind_or_none(claims: dict[str, Any]) -> None:
    _, key = "ES256", private("ES256")
    given_claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": 2**33, "tenant": "acme", "sub": "ana", **claims}
    signed = jwt.PyJWS().encode(json.dumps(given_claims).encode(), key, "ES256", headers={"kid": "ES256"})

    found = await DESK.look_up(signed)

    if found is not None:
        assert found.tenant == given_claims["tenant"]
        assert found.user_id == given_claims["sub"]
        assert found.scopes <= TENANT_SCOPES
        assert given_claims["iss"] == ISSUER
        assert given_claims["aud"] == AUDIENCE or AUDIENCE in given_claims["aud"]
