"""Stations' passwords: fast for random ones, argon2 for those that people or vendors chose.

Argon2 is slow by design, so a verdict is remembered: a charger that reconnects, or repeats its
wrong password for ever, costs it once. What is remembered is a keyed digest, not the password.
"""

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from typing import Any, Final

import argon2

from common import credentials

# OWASP's second choice (2025): 19 MiB, 2 passes; some 40 ms. A gateway that starts again must let
# every such station in once, so this is less than identity takes for people.
MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
AT_ONCE_MAX: Final = 2
WAITING_MAX: Final = 200
REMEMBERED_MAX: Final = 20_000
PASSWORD_BYTES_MAX: Final = 128  # OCPP allows 40
RANDOM_HEX_MIN: Final = 40  # 160 bits

ARGON2: Final = "$argon2"


class Overloaded(Exception):
    """Too many passwords wait to be checked; come back later."""


class Passwords:
    def __init__(self) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1
        )
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)
        self._inside = 0
        self._key = secrets.token_bytes(32)
        self._verdicts: dict[bytes, bool] = {}

    async def hash(self, password: str) -> str:
        """Raises Overloaded."""
        if is_random(password):
            return credentials.fast_hash(password)
        return str(await self._beside(self._argon2.hash, password))

    def decided(self, password: bytes, hashes: list[str]) -> bool:
        """Whether it costs nothing to say if that matches one of these, and teaches nobody more."""
        return len(password) > PASSWORD_BYTES_MAX or all(
            self._digest(password, hashed) in self._verdicts
            for hashed in hashes
            if hashed.startswith(ARGON2)
        )

    async def matches(self, password: bytes, hashed: str) -> bool:
        """Whether that is the password, in any form that chargers send it in. Raises Overloaded."""
        if len(password) > PASSWORD_BYTES_MAX:
            return False
        if not hashed.startswith(ARGON2):
            return any(credentials.matches(form, hashed) for form in forms(password))
        digest = self._digest(password, hashed)
        known = self._verdicts.get(digest)
        if known is None:
            known = bool(await self._beside(self._any_verified, hashed, tuple(forms(password))))
            if len(self._verdicts) >= REMEMBERED_MAX:
                del self._verdicts[next(iter(self._verdicts))]
            self._verdicts[digest] = known
        return known

    def _digest(self, password: bytes, hashed: str) -> bytes:
        return hmac.digest(self._key, hashed.encode() + b"\0" + password, hashlib.sha256)

    def _any_verified(self, hashed: str, given: tuple[str, ...]) -> bool:
        for form in given:
            try:
                return self._argon2.verify(hashed, form)
            except argon2.exceptions.VerifyMismatchError:
                continue
        return False

    async def _beside(self, work: Callable[..., object], *arguments: Any) -> object:
        if self._inside >= WAITING_MAX:
            raise Overloaded("too many passwords wait to be checked")
        self._inside += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._inside -= 1


def is_random(password: str) -> bool:
    """Whether it looks like one of ours: nobody chooses 40 hex digits with every digit in it."""
    digits = set("0123456789abcdef")
    return len(password) >= RANDOM_HEX_MIN and set(password) <= digits and len(set(password)) > 10


def forms(password: bytes) -> Iterator[str]:
    """What a password may have been before a charger sent it, likeliest first.

    AuthorizationKey is given in hex (1.6 security whitepaper, A00.FR.205); some chargers send the
    digits, in either case, others the bytes that they stand for, and some the bytes of a plain
    password in hex.
    """
    seen = set()
    for form in _forms(password):
        if form not in seen:
            seen.add(form)
            yield form


def _forms(password: bytes) -> Iterator[str]:
    try:
        text = password.decode()
    except UnicodeDecodeError:
        yield password.hex()
        yield password.hex().upper()
        return
    yield text
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if raw:
        yield text.lower()
        yield text.upper()
        with contextlib.suppress(UnicodeDecodeError):
            yield raw.decode()
    yield password.hex()
