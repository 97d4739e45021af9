"""Pure: whom a charger lets charge by itself: its local list, and what it remembers of answers."""

from collections.abc import Iterable
from dataclasses import dataclass, field

MOST_CACHED = 100
MOST_LISTED = 1000  # entries; as much as LocalAuthListMaxLength promises


@dataclass(frozen=True)
class IdToken:
    """A card or an account. `kind` is the token type of OCPP 2.x; 1.6 has none."""

    text: str
    kind: str = "ISO14443"

    def same(self, other: "IdToken") -> bool:
        return self.key == other.key

    @property
    def key(self) -> str:
        return self.text.lower()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Verdict:
    """What is thought of a token: its AuthorizationStatus, and its parent or group."""

    status: str
    group: str | None = None

    @property
    def accepted(self) -> bool:
        return self.status == "Accepted"


@dataclass
class Authority:
    """`version` is the local list's, 0 while there is none."""

    version: int = 0
    listed: dict[str, Verdict] = field(default_factory=dict)
    cached: dict[str, Verdict] = field(default_factory=dict)

    def update_list(
        self, version: int, *, full: bool, entries: Iterable[tuple[IdToken, Verdict | None]]
    ) -> str:
        """Answer a SendLocalList with its status. An entry without a verdict is removed.

        OCPP 1.6, 5.15; OCPP 2.0.1, D01: a differential update needs a higher version.
        """
        if not full and version <= self.version:
            return "VersionMismatch"
        listed = {} if full else dict(self.listed)
        for token, verdict in entries:
            if verdict is None:
                listed.pop(token.key, None)
            else:
                listed[token.key] = verdict
        if len(listed) > MOST_LISTED:
            return "Failed"
        self.listed = listed
        self.version = version
        return "Accepted"

    def remember(self, token: IdToken, verdict: Verdict) -> None:
        """Keep the server's answer; the oldest goes when there are too many."""
        self.cached.pop(token.key, None)
        self.cached[token.key] = verdict
        if len(self.cached) > MOST_CACHED:
            self.cached.pop(next(iter(self.cached)))

    def own_verdict(self, token: IdToken) -> Verdict | None:
        """What is known without the server: the list counts before the cache."""
        return self.listed.get(token.key) or self.cached.get(token.key)

    def forget(self, token: IdToken) -> None:
        self.cached.pop(token.key, None)
