"""Cards: the tokens users charge with. Two operators may each have a card with the same uid."""

from contextlib import AbstractContextManager
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox
from common.auth import Caller, scoped
from common.clock import AnyMoment
from common.database import Db
from common.events import CardChanged
from common.paging import Cursor, Limit, Page, rows
from common.problems import Problem
from common.versions import Expected
from identity import single
from identity.access.decision import normal_uid
from identity.fields import Body, Label, Line, Patch
from identity.refusals import UnknownOperator, refusing
from identity.tables import Card

router = APIRouter(prefix="/v1/cards", tags=["cards"])

reads = scoped("cards:read")
writes = scoped("cards:write")


class CardUidTaken(Problem):
    status = 409
    title = "There is a card with this uid already"


class UnknownUser(Problem):
    status = 422
    title = "The operator has no such user"


class MasterPassOfNoGroup(Problem):
    status = 422
    title = "A master pass needs the group that stations know as the master's"


class ValidityReversed(Problem):
    status = 422
    title = "The card's validity would end before it begins"


def _as_stored(uid: str) -> str:
    if (stored := normal_uid(uid)) is None:
        raise ValueError("1 to 36 printable ASCII characters")
    return stored


Uid = Annotated[
    str,
    Field(
        max_length=64,
        description="1 to 36 characters, kept in upper case; OCPP 1.6 chargers send at most 20",
        examples=["04A2B3C4"],
    ),
    AfterValidator(_as_stored),
]
Group = Annotated[
    Uid,
    Field(
        description="cards of one group end each other's sessions: OCPP 1.6's parentIdTag, of "
        "which it takes at most 20 characters (a longer one it is not told), and OCPP 2.x's "
        "groupIdToken",
        examples=["FLEET-7"],
    ),
]
MasterPass = Annotated[
    bool,
    Field(
        description="ends any session and begins none; its group_id is what stations have as "
        "MasterPassGroupId (OCPP 2.0.1, C16; OCPP 1.6 has none)"
    ),
]
Kind = Literal["rfid", "app", "emaid"]
ReasonText = Annotated[Line, Field(description="only together with active false")]


class CardIn(Body):
    uid: Uid
    kind: Kind = "rfid"
    user_id: UUID | None = None
    label: Label = ""
    active: bool = True
    blocked_reason: ReasonText | None = None
    valid_from: AnyMoment | None = None
    valid_until: AnyMoment | None = None
    group_id: Group | None = None
    master_pass: MasterPass = False

    @model_validator(mode="after")
    def _blocked_if_reasoned(self) -> Self:
        if self.active and self.blocked_reason is not None:
            raise ValueError("an active card has no blocked_reason; send active false")
        return self


class CardPatch(Patch):
    """To block: {"active": false, "blocked_reason": "lost"}; active true forgets the reason."""

    may_be_null: ClassVar[frozenset[str]] = frozenset(
        {"user_id", "blocked_reason", "valid_from", "valid_until", "group_id"}
    )

    uid: Uid | None = None
    kind: Kind | None = None
    user_id: UUID | None = None
    label: Label | None = None
    active: bool | None = None
    blocked_reason: ReasonText | None = None
    valid_from: AnyMoment | None = None
    valid_until: AnyMoment | None = None
    group_id: Group | None = None
    master_pass: MasterPass | None = None

    @model_validator(mode="after")
    def _reason_only_with_block(self) -> Self:
        if self.blocked_reason is not None and self.active is not False:
            raise ValueError("send blocked_reason together with active false")
        if self.active:
            self.blocked_reason = None  # set, so that the old reason goes
        return self


class CardOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    uid: str
    kind: Kind
    user_id: UUID | None
    label: str
    active: bool
    blocked_reason: str | None
    valid_from: AnyMoment | None
    valid_until: AnyMoment | None
    group_id: str | None
    master_pass: bool
    version: int


@router.get("", summary="List the cards", dependencies=[reads])
async def list_cards(
    db: Db,
    caller: Caller,
    uid: Uid | None = None,
    user_id: UUID | None = None,
    active: bool | None = None,
    group_id: Group | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CardOut]:
    wanted = {
        Card.operator_id: caller.operator_id,
        Card.uid: uid,
        Card.user_id: user_id,
        Card.active: active,
        Card.group_id: group_id,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    query = select(Card).where(*conditions)
    found, following = await rows(db, query, Card.id, limit=limit, cursor=cursor)
    return Page(items=[CardOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/{card_id}", summary="Read a card", dependencies=[reads])
async def read_card(card_id: UUID, db: Db, response: Response) -> CardOut:
    row = await single.get(db, Card, card_id)
    return CardOut.model_validate(single.tagged(response, row))


@router.post("", status_code=201, summary="Make a card", dependencies=[writes])
async def make_card(body: CardIn, db: Db, caller: Caller, response: Response) -> CardOut:
    row = Card(operator_id=caller.tenant(), **body.model_dump())
    db.add(row)
    with _refusing(body):
        await db.flush()
    await tell(db, row)
    return CardOut.model_validate(single.tagged(response, row))


@router.patch("/{card_id}", summary="Change, block or give a card", dependencies=[writes])
async def change_card(
    card_id: UUID, body: CardPatch, expected: Expected, db: Db, response: Response
) -> CardOut:
    with _refusing(body):
        row = await single.change(db, Card, card_id, expected, body.changes())
    await tell(db, row)
    return CardOut.model_validate(single.tagged(response, row))


def _refusing(body: CardIn | CardPatch) -> AbstractContextManager[None]:
    return refusing(
        {
            "uq_card_operator_id_uid": CardUidTaken(f"there is already a card {body.uid}"),
            "fk_card_operator_id_user_id": UnknownUser(f"no user has the id {body.user_id}"),
            "fk_card_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
            "ck_card_valid_from_before_until": ValidityReversed("valid_from < valid_until, please"),
            "ck_card_master_pass_of_group": MasterPassOfNoGroup("send group_id with master_pass"),
        }
    )


async def tell(db: AsyncSession, row: Card) -> None:
    await outbox.emit(
        db,
        CardChanged(
            operator_id=row.operator_id,
            card_id=row.id,
            version=row.version,
            uid=row.uid,
            user_id=row.user_id,
            label=row.label,
            active=row.active,
            group_id=row.group_id,
            master_pass=row.master_pass,
        ),
    )
