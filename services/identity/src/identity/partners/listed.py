"""Pure: what a partner says of a card, alone or as a line of a list.

Lists come as NDJSON (one JSON object a line, UTF-8) and are read while they arrive.
"""

import hashlib
import re
from typing import Annotated, Final, NamedTuple, Self

from pydantic import Field, ValidationError

from common.clock import AnyMoment
from common.fields import Body, Line
from identity import uids
from identity.fields import Label
from identity.people.cards import Group, Kind, Uid

PART_BYTES_MAX: Final = 16 * 2**20
PART_CARDS_MAX: Final = 50_000
LINE_BYTES_MAX: Final = 4096
FAULTS_MAX: Final = 100  # that are told; the rest is only counted
BLANK: Final = re.compile(rb"[ \t\r]*")


class PushedCard(Body):
    kind: Kind = "rfid"
    label: Label = Field(default="", description="what is printed on it, for people")
    active: bool = True
    blocked_reason: Annotated[Line | None, Field(description="only with active false")] = None
    valid_from: AnyMoment | None = None
    valid_until: AnyMoment | None = None
    group_id: Group | None = None


class ListedCard(PushedCard):
    uid: Uid

    @classmethod
    def of(cls, uid: str, body: PushedCard) -> Self:
        return cls(uid=uid, **body.model_dump())


class Fault(NamedTuple):
    line: int  # from 1
    member: str | None  # None: the whole line
    why: str


def fault(card: ListedCard) -> tuple[str, str] | None:
    """The member that does not go with the others, and why."""
    if (found := uids.fault(card.kind, card.uid)) is not None:
        return "uid", found
    if card.active and card.blocked_reason is not None:
        return "blocked_reason", "an active card has none; send active false"
    if card.valid_from and card.valid_until and card.valid_from >= card.valid_until:
        return "valid_until", "the card's validity would end before it begins"
    return None


class TooLarge(ValueError):
    """Of a part: more bytes or more cards than one may have."""


class Part:
    """One part of a list, read as it arrives: what stands in memory is its cards alone."""

    def __init__(self) -> None:
        self.cards: list[ListedCard] = []
        self.faults: list[Fault] = []
        self.bad_lines = 0
        self.lines: dict[str, int] = {}  # by uid
        self._hash = hashlib.sha256()
        self._bytes = 0
        self._line = 0
        self._rest = b""
        self._skipping = False  # a line that is too long

    @property
    def sha256(self) -> bytes:
        return self._hash.digest()

    def feed(self, piece: bytes) -> None:
        """Raises TooLarge."""
        self._bytes += len(piece)
        if self._bytes > PART_BYTES_MAX:
            raise TooLarge(f"a part has at most {PART_BYTES_MAX} bytes")
        self._hash.update(piece)
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for line in whole:
            self._next(line)
        if len(self._rest) > LINE_BYTES_MAX:
            self._skipping, self._rest = True, b""

    def end(self) -> None:
        """Raises TooLarge."""
        if self._rest or self._skipping:
            self._next(self._rest)

    def refuse(self, line: int, *found: tuple[str | None, str]) -> None:
        self.bad_lines += 1
        room = FAULTS_MAX - len(self.faults)
        self.faults += [Fault(line, member, why) for member, why in found[:room]]

    def _next(self, line: bytes) -> None:
        self._line += 1
        if self._skipping or len(line) > LINE_BYTES_MAX:
            self._skipping = False
            self.refuse(self._line, (None, f"a line has at most {LINE_BYTES_MAX} bytes"))
        elif not BLANK.fullmatch(line):
            self._read(line)

    def _read(self, line: bytes) -> None:
        try:
            card = ListedCard.model_validate_json(line, strict=True)
        except ValidationError as error:
            told = error.errors(include_url=False, include_input=False, include_context=False)
            self.refuse(self._line, *((_member(one["loc"]), one["msg"]) for one in told))
            return
        if (found := fault(card)) is not None:
            self.refuse(self._line, found)
        elif (before := self.lines.get(card.uid)) is not None:
            self.refuse(self._line, ("uid", f"is in line {before} already"))
        elif len(self.cards) == PART_CARDS_MAX:
            raise TooLarge(f"a part has at most {PART_CARDS_MAX} cards")
        else:
            self.lines[card.uid] = self._line
            self.cards.append(card)


def _member(place: tuple[int | str, ...]) -> str | None:
    return ".".join(map(str, place))[:80] or None
