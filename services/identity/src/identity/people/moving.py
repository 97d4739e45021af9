"""A card that takes another's place, and one that is given to somebody else."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common import single
from common.database import Db
from common.fields import Body
from common.ids import uuid7
from common.problems import NotFound
from identity.fields import Label
from identity.people import cards
from identity.people.cards import (
    CardOut,
    Kind,
    PartnersCard,
    ReplacedAlready,
    Uid,
    refusing_card,
    writes,
)
from identity.tables import Card

router = APIRouter(prefix="/v1/cards", tags=["cards"])

REPLACED: Final = "replaced"
# What a replacement does not take over.
OWN: Final = frozenset(
    {"id", "version", "uid", "kind", "label", "active", "blocked_reason", "held", "own_block"}
    | {"replaced_by"}
)


class ReplacementIn(Body):
    uid: Uid
    kind: Kind | None = Field(default=None, description="null: as the old one's")
    label: Label | None = Field(default=None, description="null: as the old one's")


class MoveIn(Body):
    user_id: UUID | None = Field(description="whose it is from now on; null: nobody's")


@router.post(
    "/{card_id}/replace",
    status_code=201,
    summary="Put a new card in the place of a lost or broken one",
    dependencies=[writes],
)
async def replace_card(card_id: UUID, body: ReplacementIn, db: Db, response: Response) -> CardOut:
    """It takes over everything but the uid; the old one is blocked for good."""
    old = await _own(db, card_id)
    kind = body.kind or old.kind
    cards.check_uid(kind, body.uid)
    kept = {column.key: getattr(old, column.key) for column in Card.__mapper__.columns}
    new = Card(
        **{name: value for name, value in kept.items() if name not in OWN},
        uid=body.uid,
        kind=kind,
        label=old.label if body.label is None else body.label,
        active=True,
    )
    new.id = uuid7()
    # First, for a company has one master card only.
    with refusing_card(body.uid):
        await _change(
            db,
            card_id,
            active=False,
            blocked_reason=REPLACED,
            own_block=False,
            company_master=False,
            accounting_strategy_id=None,
            replaced_by=new.id,
        )
        db.add(new)
        await db.flush()
    await cards.tell(db, new)
    return CardOut.model_validate(single.tagged(response, new))


@router.post("/{card_id}/move", summary="Give a card to somebody else", dependencies=[writes])
async def move_card(card_id: UUID, body: MoveIn, db: Db, response: Response) -> CardOut:
    """Sessions that ended or run already stay with whom they were of."""
    card = await _own(db, card_id)
    if card.user_id != body.user_id:
        with refusing_card(card.uid):
            card = await _change(db, card_id, user_id=body.user_id, own_block=False)
    return CardOut.model_validate(single.tagged(response, card))


async def _own(db: AsyncSession, card_id: UUID) -> Card:
    """Locked. Raises NotFound, PartnersCard or ReplacedAlready."""
    card = await db.scalar(select(Card).where(Card.id == card_id).with_for_update())
    if card is None:
        raise NotFound(f"there is no card with the id {card_id}")
    if card.partner_id is not None:
        raise PartnersCard("its partner does that")
    if card.replaced_by is not None:
        raise ReplacedAlready(f"by the card {card.replaced_by}")
    return card


async def _change(db: AsyncSession, card_id: UUID, **values: Any) -> Card:
    changed = update(Card).where(Card.id == card_id).values(**values, version=Card.version + 1)
    card = (await db.scalars(changed.returning(Card))).one()
    await db.refresh(card)
    await cards.tell(db, card)
    return card
