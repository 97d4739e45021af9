"""Random secrets and their fast salted hashes.

A secret of 160 random bits cannot be guessed, so SHA-256 with a salt is enough and a charger that
reconnects costs microseconds; people's passwords are another matter and get argon2 in identity.
"""

import hashlib
import hmac
import secrets

SECRET_BYTES = 20  # 160 bits; 40 hex digits fit OCPP's AuthorizationKey


def new_secret() -> str:
    return secrets.token_hex(SECRET_BYTES)


def fast_hash(secret: str) -> str:
    """scheme$salt$hash; only for secrets from new_secret()."""
    salt = secrets.token_hex(8)
    return f"sha256${salt}${_digest(salt, secret)}"


def matches(secret: str, hashed: str) -> bool:
    scheme, _, rest = hashed.partition("$")
    salt, _, digest = rest.partition("$")
    return scheme == "sha256" and hmac.compare_digest(_digest(salt, secret), digest)


def _digest(salt: str, secret: str) -> str:
    return hashlib.sha256((salt + secret).encode()).hexdigest()
