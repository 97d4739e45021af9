"""Pure: what an OpenID provider says of a person, believed only after every check.

Source: OpenID Connect Core 1.0, 3.1.3.7 and 3.1.3.8; algorithms are ours to choose, never the
token's (RFC 8725, 3.1).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

from joserfc import jwt
from joserfc.jwk import JWKRegistry
from pydantic import Field, TypeAdapter, ValidationError

from common.contacts import Email

# What each kind of key may verify; nothing that is symmetric, and never "none".
ALGORITHMS: Final[dict[str, tuple[str, ...]]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("Ed25519",),
}
ALLOWED: Final = frozenset(name for names in ALGORITHMS.values() for name in names)
RSA_BYTES: Final = range(256, 1025)  # of the modulus: NIST's least, and no work for an hour
TOKEN_MAX: Final = 16_000
KEYS_MAX: Final = 100
LEEWAY_S: Final = 60  # clocks differ
AGE_MAX_S: Final = 600  # it was made for this sign-in, which lasts as long at most


class NotBelieved(Exception):
    """why: for the log; it may hold what the provider said, so nobody else is told."""


class Asked(NamedTuple):
    issuer: str
    client_id: str
    nonce: str


class Person(NamedTuple):
    subject: str
    email: str | None  # lower case; None: this answer does not say
    email_verified: bool


SUBJECT: Final[TypeAdapter[str]] = TypeAdapter(
    Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[ -~]+$")]
)
EMAIL: Final[TypeAdapter[str]] = TypeAdapter(Email)


def key_id(token: str) -> str | None:
    """The key that the token names; None: none. Raises NotBelieved."""
    kid = _header(token).get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= 500):
        raise NotBelieved("its key id is none")
    return kid


def _header(token: str) -> dict[str, Any]:
    if len(token) > TOKEN_MAX or token.count(".") != 2 or not token.isascii():
        raise NotBelieved("it is no signed token")
    text = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError) as error:
        raise NotBelieved("it is no signed token") from error
    if not isinstance(header, dict):
        raise NotBelieved("it is no signed token")
    if header.get("alg") not in ALLOWED:
        raise NotBelieved(f"it is signed by {str(header.get('alg'))[:20]!a}")
    return header


def key_for(token: str, keys: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The provider's key that the token names or, if it names none, the only one that can be it."""
    kid, algorithm = key_id(token), _header(token)["alg"]
    usable = [
        key
        for key in keys[:KEYS_MAX]
        if algorithm in ALGORITHMS.get(str(key.get("kty")), ())
        and key.get("use") in (None, "sig")
        and key.get("alg") in (None, algorithm)
        and (kid is None or key.get("kid") == kid)
        and (key.get("kty") != "RSA" or _modulus_bytes(key) in RSA_BYTES)
    ]
    return usable[0] if len(usable) == 1 else None


def _modulus_bytes(key: Mapping[str, Any]) -> int:
    return len(str(key.get("n"))) * 3 // 4


def believed(
    token: str, key: Mapping[str, Any], asked: Asked, access_token: str, at_s: float
) -> Person:
    """Who it is, by the ID token. Raises NotBelieved."""
    algorithm = _header(token)["alg"]
    public = {name: value for name, value in key.items() if name in PUBLIC}
    try:
        imported = JWKRegistry.import_key(public)
        claims = jwt.decode(token, imported, algorithms=[algorithm]).claims
    except Exception as error:  # whatever garbage raises
        raise NotBelieved(f"its signature is not good: {error}") from error
    _check(claims, asked, at_s)
    _check_access_token(claims, algorithm, access_token)
    return person(claims)


# Of a key; whatever else a provider writes into it by mistake is not looked at.
PUBLIC: Final = frozenset({"kty", "n", "e", "crv", "x", "y"})


def _check(claims: Mapping[str, Any], asked: Asked, at_s: float) -> None:
    if claims.get("iss") != asked.issuer:
        raise NotBelieved("it is of another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if asked.client_id not in audiences:
        raise NotBelieved("it is for another client")
    party = claims.get("azp")
    if party is None and len(audiences) > 1:
        raise NotBelieved("it is for several clients and does not say for which")
    if party is not None and party != asked.client_id:
        raise NotBelieved("it was given to another client")
    if _moment(claims, "exp") <= at_s - LEEWAY_S:
        raise NotBelieved("it has expired")
    issued_s = _moment(claims, "iat")
    if not at_s - AGE_MAX_S - LEEWAY_S <= issued_s <= at_s + LEEWAY_S:
        raise NotBelieved("it was not made just now")
    if "nbf" in claims and _moment(claims, "nbf") > at_s + LEEWAY_S:
        raise NotBelieved("it is not good yet")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not _same(nonce, asked.nonce):
        raise NotBelieved("it answers something else: the nonce is not ours")


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotBelieved(f"it has no {name}")
    return value


def _check_access_token(claims: Mapping[str, Any], algorithm: str, access_token: str) -> None:
    if (said := claims.get("at_hash")) is None:
        return
    # Ed25519 hashes with SHA-512; the others with what their name says.
    size = "512" if algorithm == "Ed25519" else algorithm[2:]
    digest = hashlib.new(f"sha{size}", access_token.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not isinstance(said, str) or not _same(said, half):
        raise NotBelieved("the access token is of another answer")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


def person(claims: Mapping[str, Any]) -> Person:
    """Of an ID token, or of the answer of userinfo. Raises NotBelieved."""
    try:
        subject = SUBJECT.validate_python(claims.get("sub"), strict=True)
        said = claims.get("email")
        email = None if said is None else EMAIL.validate_python(said)
    except ValidationError as error:
        raise NotBelieved("it does not say who it is") from error
    return Person(subject, email, claims.get("email_verified") is True)


def admitted(found: Person, domains: Sequence[str]) -> str:
    """The e-mail address, if it is verified and of one of the domains. Raises NotBelieved."""
    if found.email is None or not found.email_verified:
        raise NotBelieved("the e-mail address is not verified")
    if found.email.rpartition("@")[2] not in domains:
        raise NotBelieved("the e-mail address is of another domain")
    return found.email
