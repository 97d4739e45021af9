"""A driver's own cards: seen, named, blocked when lost, unblocked when found.

A block of one's own is undone by oneself; a block by staff is theirs (Card.own_block).
"""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common import single
from common.auth import Caller, Principal
from common.clock import AnyMoment
from common.database import Db
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page, rows
from common.problems import NotFound, Problem
from common.versions import Expected
from identity.fields import Label
from identity.people import cards
from identity.people.cards import Kind, ReplacedAlready
from identity.people.me import own_user, reads, still_here, writes
from identity.tables import Card

router = APIRouter(prefix="/v1/me/cards", tags=["me"])

REASON: Final = "by its holder"


class BlockedByOperator(Problem):
    status = 409
    title = "The operator blocked this card"


class OwnCardOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    uid: str = Field(description="the token; an app starts sessions with that of kind app")
    kind: Kind
    label: str
    active: bool
    own_block: bool = Field(description="I blocked it, so I may unblock it")
    blocked_reason: str | None
    valid_from: AnyMoment | None
    valid_until: AnyMoment | None
    replaced_by: UUID | None = Field(description="the card that took its place")
    version: int


class OwnCardPatch(Patch):
    label: Label | None = None


class BlockIn(Body):
    reason: Line | None = Field(default=None, description="such as lost; staff read it")


@router.get("", summary="My cards", dependencies=[reads])
async def list_my_cards(
    db: Db, caller: Caller, limit: Limit = 50, cursor: Cursor = None
) -> Page[OwnCardOut]:
    query = select(Card).where(Card.user_id == own_user(caller))
    found, following = await rows(db, query, Card.id, limit=limit, cursor=cursor)
    return Page(items=[OwnCardOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/{card_id}", summary="A card of mine", dependencies=[reads])
async def read_my_card(card_id: UUID, db: Db, caller: Caller, response: Response) -> OwnCardOut:
    return _told(response, await _mine(db, caller, card_id))


@router.patch("/{card_id}", summary="Name a card of mine", dependencies=[writes])
async def name_my_card(
    card_id: UUID, body: OwnCardPatch, expected: Expected, db: Db, caller: Caller,
    response: Response,
) -> OwnCardOut:  # fmt: skip
    await _mine(db, caller, card_id, lock=True)
    return _told(response, await _changed(db, caller, card_id, expected, **body.changes()))


@router.post("/{card_id}/block", summary="Block a card of mine", dependencies=[writes])
async def block_my_card(
    card_id: UUID, db: Db, caller: Caller, response: Response, body: BlockIn | None = None
) -> OwnCardOut:
    """For the next start; a session that runs goes on. Blocked twice is blocked."""
    card = await _mine(db, caller, card_id, lock=True)
    if not card.active:
        _require_own(card)
        return _told(response, card)
    values = {
        "active": False,
        "own_block": True,
        "blocked_reason": (body and body.reason) or REASON,
    }
    return _told(response, await _changed(db, caller, card_id, None, **values))


@router.post("/{card_id}/unblock", summary="Unblock a card that I blocked", dependencies=[writes])
async def unblock_my_card(card_id: UUID, db: Db, caller: Caller, response: Response) -> OwnCardOut:
    card = await _mine(db, caller, card_id, lock=True)
    if card.active:
        return _told(response, card)
    _require_own(card)
    values = {"active": True, "own_block": False, "blocked_reason": None}
    return _told(response, await _changed(db, caller, card_id, None, **values))


def _require_own(card: Card) -> None:
    """Raises ReplacedAlready or BlockedByOperator for a card that is blocked by others."""
    if card.replaced_by is not None:
        raise ReplacedAlready(f"use the card {card.replaced_by}")
    if not card.own_block:
        raise BlockedByOperator("ask the operator about it")


async def _mine(db: AsyncSession, caller: Principal, card_id: UUID, *, lock: bool = False) -> Card:
    """Raises NotFound, for somebody else's card too."""
    query = select(Card).where(Card.id == card_id, Card.user_id == own_user(caller))
    card = await db.scalar(query.with_for_update() if lock else query)
    if card is None:
        raise NotFound(f"you have no card with the id {card_id}")
    return card


async def _changed(
    db: AsyncSession, caller: Principal, card_id: UUID, expected: frozenset[int] | None,
    **values: Any,
) -> Card:  # fmt: skip
    card = await single.change(db, Card, card_id, expected, values)
    await still_here(db, caller)
    await cards.tell(db, card)
    return card


def _told(response: Response, card: Card) -> OwnCardOut:
    return OwnCardOut.model_validate(single.tagged(response, card))
