"""Lists of a partner's cards: begun, sent in parts, applied in one go, or given up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field
from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import scoped
from common.clock import AnyMoment, now
from common.database import PLATFORM, Connections, Db
from common.fields import Body
from common.ids import uuid7
from common.paging import Cursor, Limit, Page, rows
from common.problems import NotFound, Problem
from identity.partners import applying
from identity.partners.applying import Applied
from identity.partners.pushed_cards import Mine
from identity.tables import Partner, PartnerList, PartnerListPart

router = APIRouter(prefix="/v1/partner/lists", tags=["partner"])

reads = scoped("partner-cards:read")
writes = scoped("partner-cards:write")

CARDS_MAX: Final = 500_000
PARTS_MAX: Final = 1000
OPEN_MAX: Final = 5  # half a million rows each
UNAPPLIED_DAYS: Final = 7
APPLIED_DAYS: Final = 90
DELETED_AT_ONCE: Final = 20_000

Key = Annotated[
    str,
    Header(
        min_length=1,
        max_length=80,
        pattern=r"^[!-~]+$",
        description="a repeat with the same key gives the same list",
    ),
]


class ListKeyReused(Problem):
    status = 409
    title = "This key belongs to another list"


class TooManyLists(Problem):
    status = 409
    title = "Too many lists are neither applied nor given up"


class ListApplied(Problem):
    status = 409
    title = "This list was applied already"


class PartsMissing(Problem):
    status = 409
    title = "The list is not whole"


class ListIn(Body):
    mode: Literal["full", "delta"] = Field(
        description="full: cards that are not in it are blocked; delta: they stay as they are"
    )
    total: int | None = Field(
        default=None, ge=0, le=CARDS_MAX, description="cards in all parts; checked when applied"
    )


class ApplyIn(Body):
    parts: int = Field(ge=0, le=PARTS_MAX, description="how many there are: 1 to this")
    confirm: bool = Field(default=False, description="yes, block more than half of the cards")


class PartOut(BaseModel):
    number: int
    cards: int
    sha256: str = Field(description="of its bytes, in hex")


class ListOut(BaseModel):
    id: UUID
    mode: Literal["full", "delta"]
    total: int | None
    made_at: AnyMoment
    expires_at: AnyMoment | None = Field(description="if it is not applied")
    applied_at: AnyMoment | None
    result: Applied | None


class ListWithParts(ListOut):
    parts: list[PartOut] = Field(description="that are there, so the others are still to be sent")


@router.get("", summary="List one's lists, the newest first", dependencies=[reads])
async def list_partner_lists(
    db: Db, partner: Mine, limit: Limit = 50, cursor: Cursor = None
) -> Page[ListOut]:
    query = select(PartnerList).where(PartnerList.partner_id == partner.id)
    found, following = await rows(
        db, query, PartnerList.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page(items=[ListOut(**_shown(row)) for row in found], next_cursor=following)


@router.get("/{list_id}", summary="Read a list and which parts are there", dependencies=[reads])
async def read_list(list_id: UUID, db: Db, partner: Mine) -> ListWithParts:
    row = await get(db, partner, list_id)
    return await _with_parts(db, row)


@router.post("", status_code=201, summary="Begin a list", dependencies=[writes])
async def begin_list(
    body: ListIn, idempotency_key: Key, db: Db, partner: Mine, response: Response
) -> ListWithParts:
    made = insert(PartnerList).values(
        id=uuid7(),
        operator_id=partner.operator_id,
        partner_id=partner.id,
        idempotency_key=idempotency_key,
        made_at=now(),
        **body.model_dump(),
    )
    once = made.on_conflict_do_nothing(
        index_elements=[PartnerList.partner_id, PartnerList.idempotency_key]
    )
    row = await db.scalar(once.returning(PartnerList))
    if row is None:
        response.status_code = 200
        return await _repeated(db, partner, idempotency_key, body)
    if await _open(db, partner) > OPEN_MAX:
        raise TooManyLists("apply them, or give them up with DELETE")
    return await _with_parts(db, row)


@router.delete(
    "/{list_id}",
    status_code=204,
    summary="Give up a list that is not applied",
    dependencies=[writes],
)
async def give_up(list_id: UUID, db: Db, partner: Mine) -> None:
    row = await get(db, partner, list_id, lock=True)
    if row.applied_at is not None:
        raise ListApplied("what it said holds")
    await db.execute(delete(PartnerList).where(PartnerList.id == list_id))


@router.post(
    "/{list_id}/apply", summary="Let a list hold, all of it at once", dependencies=[writes]
)
async def apply_list(list_id: UUID, body: ApplyIn, db: Db, partner: Mine) -> Applied:
    """Applied once more it gives the same answer. May take a minute for 500,000 new cards."""
    await applying.alone(db, partner)
    row = await get(db, partner, list_id, lock=True)
    if row.result is not None:
        return Applied.model_validate(row.result)
    await _check_whole(db, row, body.parts)
    return await applying.apply(db, row, confirmed=body.confirm)


def is_open(row: PartnerList, at: datetime) -> bool:
    return row.applied_at is None and at < _ends(row)


async def get(
    db: AsyncSession, partner: Partner, list_id: UUID, *, lock: bool = False
) -> PartnerList:
    """Raises NotFound: nobody else's, and none that has expired."""
    query = select(PartnerList).where(
        PartnerList.id == list_id, PartnerList.partner_id == partner.id
    )
    row = await db.scalar(query.with_for_update() if lock else query)
    if row is None or (row.applied_at is None and not is_open(row, now())):
        raise NotFound(f"you have no list {list_id}")
    return row


async def parts_of(db: AsyncSession, list_id: UUID) -> Sequence[PartnerListPart]:
    query = select(PartnerListPart).where(PartnerListPart.list_id == list_id)
    return (await db.scalars(query.order_by(PartnerListPart.number))).all()


async def _repeated(db: AsyncSession, partner: Partner, key: str, body: ListIn) -> ListWithParts:
    query = select(PartnerList).where(
        PartnerList.partner_id == partner.id, PartnerList.idempotency_key == key
    )
    row = await db.scalar(query)
    if row is None or (row.mode, row.total) != (body.mode, body.total):
        raise ListKeyReused("take a new Idempotency-Key for each list")
    return await _with_parts(db, row)


async def _open(db: AsyncSession, partner: Partner) -> int:
    query = select(func.count()).where(
        PartnerList.partner_id == partner.id,
        PartnerList.applied_at.is_(None),
        PartnerList.made_at > now() - timedelta(days=UNAPPLIED_DAYS),
    )
    return int(await db.scalar(query) or 0)


async def _check_whole(db: AsyncSession, row: PartnerList, parts: int) -> None:
    """Raises PartsMissing."""
    found = await parts_of(db, row.id)
    numbers = {part.number for part in found}
    wanted = set(range(1, parts + 1))
    if numbers != wanted:
        raise PartsMissing(
            "send the missing parts; of those beyond your count, say how many there are",
            missing=sorted(wanted - numbers)[:100],
            beyond=sorted(numbers - wanted)[:100],
        )
    cards = sum(part.cards for part in found)
    if row.total not in (None, cards):
        raise PartsMissing(f"{row.total} cards were announced, {cards} came", cards=cards)


async def _with_parts(db: AsyncSession, row: PartnerList) -> ListWithParts:
    parts = [
        PartOut(number=part.number, cards=part.cards, sha256=part.sha256.hex())
        for part in await parts_of(db, row.id)
    ]
    return ListWithParts(**_shown(row), parts=parts)


def _shown(row: PartnerList) -> dict[str, Any]:
    named = {name: getattr(row, name) for name in ("id", "mode", "total", "made_at", "applied_at")}
    return named | {
        "expires_at": None if row.applied_at else _ends(row),
        "result": row.result,
    }


def _ends(row: PartnerList) -> datetime:
    return row.made_at + timedelta(days=UNAPPLIED_DAYS)


# What no list that may still be applied says: of applied ones, of expired ones, of given up ones.
UNUSED: Final = text(
    "delete from partner_list_card where ctid = any(array(select c.ctid from partner_list_card c "
    "where not exists (select from partner_list l where l.id = c.list_id and l.applied_at is null "
    "and l.made_at > :expired) limit :most))"
)
OLD: Final = text(
    "delete from partner_list where made_at < :old or applied_at is null and made_at < :expired"
)


async def prune_once(connections: Connections) -> None:
    at = now()
    expired = at - timedelta(days=UNAPPLIED_DAYS)
    deleted = DELETED_AT_ONCE
    while deleted == DELETED_AT_ONCE:
        async with connections.begin(PLATFORM) as db:
            values = {"expired": expired, "most": DELETED_AT_ONCE}
            deleted = (await db.execute(UNUSED, values)).rowcount  # type: ignore[attr-defined]
    async with connections.begin(PLATFORM) as db:
        old = at - timedelta(days=APPLIED_DAYS)
        await db.execute(OLD, {"old": old, "expired": expired})
