"""The parts of a list: read while they arrive, without a connection to the database in hand."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import ClientDisconnect

from common.auth import Caller, Principal, scoped
from common.database import Connections
from common.ids import uuid7
from common.problems import Problem
from identity.partners import lists
from identity.partners.listed import FAULTS_MAX, ListedCard, Part, TooLarge
from identity.partners.lists import CARDS_MAX, PARTS_MAX, ListApplied, PartOut, parts_of
from identity.partners.pushed_cards import of
from identity.tables import PartnerList, PartnerListPart

router = APIRouter(prefix="/v1/partner/lists", tags=["partner"])

MEDIA_TYPE: Final = "application/x-ndjson"
READ_S: Final = 120.0  # 16 MiB at 1.1 Mbit/s
READ_MAX: Final = 8  # at once; some 40 MiB each
READ_OF_ONE_MAX: Final = 2
STORED_MAX: Final = 2  # at once; each takes a connection of the pool's ten
STORED_AT_ONCE: Final = 5000


class PartNotNdjson(Problem):
    status = 415
    title = "A part is application/x-ndjson, and not compressed"


class PartTooLarge(Problem):
    status = 413
    title = "The part is too large"


class PartTooSlow(Problem):
    status = 408
    title = "The part did not arrive in time"


class PartCutOff(Problem):
    status = 400
    title = "The part did not arrive"


class PartRefused(Problem):
    status = 422
    title = "The part has bad lines, so nothing of it was kept"


class PartDiffers(Problem):
    status = 409
    title = "Another part has this number already"


class ListFull(Problem):
    status = 409
    title = "The list would have too many cards"


class TooManyParts(Problem):
    status = 503
    title = "Too many parts are arriving at this moment"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - a constant of the class


class Seats:
    """How many parts this replica reads and stores at once."""

    def __init__(self) -> None:
        self.storing = asyncio.Semaphore(STORED_MAX)
        self._reading: Counter[UUID] = Counter()

    @contextmanager
    def reading(self, partner_id: UUID) -> Iterator[None]:
        """Raises TooManyParts."""
        mine = self._reading[partner_id]
        if mine >= READ_OF_ONE_MAX or self._reading.total() >= READ_MAX:
            raise TooManyParts(f"send at most {READ_OF_ONE_MAX} at once, and try again")
        self._reading[partner_id] += 1
        try:
            yield
        finally:
            self._reading[partner_id] -= 1
            self._reading += Counter()  # forgets those at nought


@router.put(
    "/{list_id}/parts/{number}",
    status_code=201,
    summary="Send a part of a list",
    dependencies=[scoped("partner-cards:write")],
    openapi_extra={
        "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}
    },
)
async def send_part(
    list_id: UUID,
    number: Annotated[int, Path(ge=1, le=PARTS_MAX)],
    request: Request,
    response: Response,
    caller: Caller,
) -> PartOut:
    """A card a line, at most 50,000 and 16 MiB. The same part again does nothing (200)."""
    _check_type(request)
    connections: Connections = request.app.state.connections
    seats: Seats = request.app.state.seats
    async with connections.acting(caller) as db:
        partner = await of(db, caller)
        _check_open(await lists.get(db, partner, list_id))
    with seats.reading(partner.id):
        part = await _read(request)
        async with seats.storing, connections.acting(caller) as db:
            is_new = await _store(db, caller, list_id, number, part)
    if not is_new:
        response.status_code = 200
    return PartOut(number=number, cards=len(part.cards), sha256=part.sha256.hex())


def _check_type(request: Request) -> None:
    """Raises PartNotNdjson."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if kind != MEDIA_TYPE or coding != "identity":
        raise PartNotNdjson(f"send Content-Type: {MEDIA_TYPE} and no Content-Encoding")


def _check_open(row: PartnerList) -> None:
    """Raises ListApplied."""
    if row.applied_at is not None:
        raise ListApplied("begin a new one")


async def _read(request: Request) -> Part:
    """Raises PartTooLarge, PartTooSlow, PartCutOff, PartRefused."""
    part = Part()
    try:
        async with asyncio.timeout(READ_S):
            async for piece in request.stream():
                part.feed(piece)
            part.end()
    except TimeoutError as error:
        raise PartTooSlow(f"within {READ_S:.0f} s, please; send smaller parts") from error
    except TooLarge as error:
        raise PartTooLarge(str(error)) from error
    except ClientDisconnect as error:
        raise PartCutOff("the connection broke") from error
    _refuse_faults(part)
    return part


def _refuse_faults(part: Part) -> None:
    if part.bad_lines:
        raise PartRefused(
            f"{part.bad_lines} lines; the first faults are in errors",
            bad_lines=part.bad_lines,
            errors=[fault._asdict() for fault in part.faults],
        )


async def _store(
    db: AsyncSession, caller: Principal, list_id: UUID, number: int, part: Part
) -> bool:
    """False: it was there. Raises PartDiffers, ListFull, ListApplied, PartRefused."""
    partner = await of(db, caller)
    row = await lists.get(db, partner, list_id, lock=True)
    _check_open(row)
    there = await parts_of(db, list_id)
    if same := [one for one in there if one.number == number]:
        if same[0].sha256 != part.sha256:
            raise PartDiffers("begin a new list", sha256=same[0].sha256.hex())
        return False
    if sum(one.cards for one in there) + len(part.cards) > CARDS_MAX:
        raise ListFull(f"a list has at most {CARDS_MAX} cards")
    kept = insert(PartnerListPart).values(
        list_id=list_id,
        number=number,
        operator_id=row.operator_id,
        sha256=part.sha256,
        cards=len(part.cards),
    )
    await db.execute(kept)
    for first in range(0, len(part.cards), STORED_AT_ONCE):
        await _store_cards(db, row, part, part.cards[first : first + STORED_AT_ONCE])
    _refuse_faults(part)
    return True


ARRAYS: Final = {
    "uid": "text", "card_id": "uuid", "kind": "text", "label": "text", "active": "boolean",
    "blocked_reason": "text", "valid_from": "timestamptz", "valid_until": "timestamptz",
    "group_id": "text",
}  # fmt: skip
INSERT: Final = text(
    f"insert into partner_list_card (list_id, operator_id, {', '.join(ARRAYS)}) "  # noqa: S608
    "select :list_id, :operator_id, * from unnest("
    + ", ".join(f"cast(:{name} as {kind}[])" for name, kind in ARRAYS.items())
    + ") on conflict (list_id, uid) do nothing"
)
ELSEWHERE: Final = text(
    "select uid from partner_list_card where list_id = :list_id and uid = any(:uid) "
    "and card_id <> all(:card_id) limit :most"
)


async def _store_cards(
    db: AsyncSession, row: PartnerList, part: Part, cards: list[ListedCard]
) -> None:
    """Cards of other parts become faults of this one."""
    arrays: dict[str, list[Any]] = {
        name: [getattr(card, name) for card in cards] for name in ARRAYS if name != "card_id"
    }
    arrays["card_id"] = [uuid7() for _ in cards]
    of_list = {"list_id": row.id, "operator_id": row.operator_id}
    done = await db.execute(INSERT, of_list | arrays)
    if done.rowcount == len(cards):  # type: ignore[attr-defined]
        return
    known = {
        "list_id": row.id,
        "uid": arrays["uid"],
        "card_id": arrays["card_id"],
        "most": FAULTS_MAX,
    }
    for uid in (await db.scalars(ELSEWHERE, known)).all():
        part.refuse(part.lines[uid], ("uid", "is in another part of this list"))
