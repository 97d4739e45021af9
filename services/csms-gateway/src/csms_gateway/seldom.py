"""Pure: how often something may happen, told by a key; the time is an argument."""


class Seldom:
    """At most so many times a period for each key. Remembers keys_max of them, newest first."""

    def __init__(self, times: int, period_s: float, keys_max: int = 10_000) -> None:
        self._times = times
        self._period_s = period_s
        self._keys_max = keys_max
        self._seen: dict[str, tuple[float, int]] = {}

    def allows(self, key: str, at: float) -> bool:
        """at: seconds of a clock that only runs forward."""
        since, count = self._seen.pop(key, (at, 0))
        if at - since >= self._period_s:
            since, count = at, 0
        if len(self._seen) >= self._keys_max:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = (since, count + 1)
        return count < self._times
