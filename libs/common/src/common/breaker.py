"""Pure: stop calling an endpoint that does not answer, and try again later.

Five failures in a row and nobody waits for it any more; half a minute later one call tries whether
it is back.
"""

from typing import Final

FAILURES_MAX: Final = 5
OPEN_S: Final = 30.0


class Breaker:
    """Times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._failures = 0
        self._next_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES_MAX

    def lets(self, at: float) -> bool:
        """Whether to call now. While open, a true one is the trial that the others wait for."""
        if not self.is_open:
            return True
        if at < self._next_at:
            return False
        self._next_at = at + OPEN_S
        return True

    def answered(self) -> None:
        self._failures = 0

    def failed(self, at: float) -> None:
        self._failures += 1
        self._next_at = at + OPEN_S
