"""Identifiers that sort by their time of making, so that a key is also a paging order."""

import secrets
import threading
import time
from datetime import datetime
from uuid import UUID

_lock = threading.Lock()
_last = 0


def uuid7() -> UUID:
    """48 bits of milliseconds, 12 of their fraction, 62 random bits; grows within a process.

    Source: RFC 9562, 5.7 and 6.2, method 3.
    """
    global _last  # noqa: PLW0603 - two ids of one moment must differ in order
    nanoseconds = time.time_ns()
    moment = nanoseconds // 1_000_000 << 12 | (nanoseconds % 1_000_000) * 4096 // 1_000_000
    with _lock:
        _last = moment = max(moment, _last + 1)
    high = moment >> 12 << 16 | 0x7000 | moment & 0xFFF
    return UUID(int=high << 64 | 0b10 << 62 | secrets.randbits(62))


def first_of(at: datetime) -> UUID:
    """Below every uuid7 of that millisecond, above those of the ones before."""
    return UUID(int=int(at.timestamp() * 1000) << 80)
