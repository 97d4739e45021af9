"""Cards: the tokens users charge with. Two operators may each have a card with the same uid."""

from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, paging, single
from common.auth import Caller, scoped
from common.clock import AnyMoment
from common.database import Db
from common.events import CardChanged, CardState
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page, rows
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected
from identity import uids
from identity.fields import Label
from identity.people.carried import check_strategy
from identity.people.users import UnknownUser
from identity.refusals import UnknownOperator
from identity.tables import Card

router = APIRouter(prefix="/v1/cards", tags=["cards"])

reads = scoped("cards:read")
writes = scoped("cards:write")

# What the operator may do to a partner's card.
BLOCKING: Final = frozenset({"active", "blocked_reason"})


class CardUidTaken(Problem):
    status = 409
    title = "There is a card with this uid already"


class MasterPassOfNoGroup(Problem):
    status = 422
    title = "A master pass needs the group that stations know as the master's"


class UidTooLong(Problem):
    status = 422
    title = "OCPP 1.6 takes no RFID card of more than 20 characters"


class NoContract(Problem):
    status = 422
    title = "This is no e-mobility account identifier"


class UnknownCompany(Problem):
    status = 422
    title = "The operator has no such company, or the company no such cost centre"


class MasterOfNoCompany(Problem):
    status = 422
    title = "A company's master card and a cost centre need the company"


class MasterTaken(Problem):
    status = 409
    title = "The company has its master card already"


class StrategyOnUserCard(Problem):
    """Only the master card's account is billed."""

    status = 422
    title = "A company's user card has no accounting strategy of its own"


class PartnersCard(Problem):
    status = 409
    title = "It is a partner's card: it can be blocked here, the rest is the partner's"


class ReplacedAlready(Problem):
    status = 409
    title = "This card was replaced already"


class ValidityReversed(Problem):
    status = 422
    title = "The card's validity would end before it begins"


def _as_stored(uid: str) -> str:
    if (stored := uids.normal_uid(uid)) is None:
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
CompanyMaster = Annotated[
    bool, Field(description="the company's own card, whose account is billed; one a company")
]
Cap = Annotated[
    Decimal,
    Field(
        ge=0,
        max_digits=12,
        decimal_places=2,
        description="gross, in the operator's currency, of a calendar month; beyond it the card "
        "is refused",
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
    company_id: UUID | None = None
    company_master: CompanyMaster = False
    cost_centre_id: UUID | None = None
    accounting_strategy_id: UUID | None = None
    monthly_cap: Cap | None = None

    @model_validator(mode="after")
    def _blocked_if_reasoned(self) -> Self:
        if self.active and self.blocked_reason is not None:
            raise ValueError("an active card has no blocked_reason; send active false")
        return self


class CardPatch(Patch):
    """To block: {"active": false, "blocked_reason": "lost"}; active true forgets the reason."""

    may_be_null: ClassVar[frozenset[str]] = frozenset(
        {
            "user_id",
            "blocked_reason",
            "valid_from",
            "valid_until",
            "group_id",
            "company_id",
            "cost_centre_id",
            "accounting_strategy_id",
            "monthly_cap",
        }
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
    company_id: UUID | None = None
    company_master: CompanyMaster | None = None
    cost_centre_id: UUID | None = None
    accounting_strategy_id: UUID | None = None
    monthly_cap: Cap | None = None

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
    company_id: UUID | None
    company_master: bool
    cost_centre_id: UUID | None
    partner_id: UUID | None = Field(description="who issued it, if a partner did")
    accounting_strategy_id: UUID | None
    monthly_cap: Decimal | None
    replaced_by: UUID | None = Field(description="the card that took its place")
    own_block: bool = Field(description="blocked by its holder, who may undo it")
    version: int


def _chosen(
    caller: Caller,
    uid: Uid | None = None,
    user_id: UUID | None = None,
    active: bool | None = None,
    group_id: Group | None = None,
    kind: Kind | None = None,
    company_id: UUID | None = None,
    cost_centre_id: UUID | None = None,
    partner_id: UUID | None = None,
    q: Annotated[Line | None, Query(description="in the uid or the label")] = None,
    valid_at: Annotated[AnyMoment | None, Query(description="valid then, blocked or not")] = None,
    replaced: Annotated[bool | None, Query(description="whether another took its place")] = None,
) -> list[ColumnElement[bool]]:
    wanted = {
        Card.operator_id: caller.operator_id,
        Card.uid: uid,
        Card.user_id: user_id,
        Card.active: active,
        Card.group_id: group_id,
        Card.kind: kind,
        Card.company_id: company_id,
        Card.cost_centre_id: cost_centre_id,
        Card.partner_id: partner_id,
    }
    conditions = paging.given(wanted)
    if q is not None:
        texts = (Card.uid, Card.label)
        conditions.append(or_(*(text.icontains(q, autoescape=True) for text in texts)))
    if valid_at is not None:
        conditions.append(or_(Card.valid_from.is_(None), Card.valid_from <= valid_at))
        conditions.append(or_(Card.valid_until.is_(None), Card.valid_until > valid_at))
    if replaced is not None:
        still = Card.replaced_by.is_(None)
        conditions.append(~still if replaced else still)
    return conditions


# What a list is asked for, and a file of it.
Chosen = Annotated[list[ColumnElement[bool]], Depends(_chosen)]


@router.get("", summary="List the cards", dependencies=[reads])
async def list_cards(
    db: Db, chosen: Chosen, limit: Limit = 50, cursor: Cursor = None
) -> Page[CardOut]:
    query = select(Card).where(*chosen)
    found, following = await rows(db, query, Card.id, limit=limit, cursor=cursor)
    return Page(items=[CardOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/{card_id}", summary="Read a card", dependencies=[reads])
async def read_card(card_id: UUID, db: Db, response: Response) -> CardOut:
    row = await single.get(db, Card, card_id)
    return CardOut.model_validate(single.tagged(response, row))


@router.post("", status_code=201, summary="Make a card", dependencies=[writes])
async def make_card(body: CardIn, db: Db, caller: Caller, response: Response) -> CardOut:
    check_uid(body.kind, body.uid)
    await check_strategy(db, caller.tenant(), body.accounting_strategy_id)
    row = Card(operator_id=caller.tenant(), **body.model_dump())
    db.add(row)
    with refusing_card(body.uid):
        await db.flush()
    await tell(db, row)
    return CardOut.model_validate(single.tagged(response, row))


@router.patch("/{card_id}", summary="Change, block or give a card", dependencies=[writes])
async def change_card(
    card_id: UUID, body: CardPatch, expected: Expected, db: Db, response: Response
) -> CardOut:
    now = await single.get(db, Card, card_id)
    if now.partner_id is not None and body.model_fields_set - BLOCKING:
        raise PartnersCard("send active and blocked_reason only")
    if now.replaced_by is not None and body.active:
        raise ReplacedAlready(f"use the card {now.replaced_by}")
    if body.model_fields_set & {"uid", "kind"}:
        check_uid(body.kind or now.kind, body.uid or now.uid)
    changes = body.changes()
    if body.accounting_strategy_id != now.accounting_strategy_id:
        await check_strategy(db, now.operator_id, body.accounting_strategy_id)
    if body.active is not None:
        changes["held"] = not body.active
    if body.model_fields_set & {"active", "user_id"}:
        changes["own_block"] = False
    with refusing_card(body.uid):
        row = await single.change(db, Card, card_id, expected, changes)
    await tell(db, row)
    return CardOut.model_validate(single.tagged(response, row))


def check_uid(kind: str, uid: str) -> None:
    """Raises UidTooLong or NoContract."""
    if (fault := uids.fault(kind, uid)) is not None:
        raise (NoContract if kind == "emaid" else UidTooLong)(fault)


def refusing_card(uid: str | None) -> AbstractContextManager[None]:
    return refusing(
        {
            "uq_card_operator_id_uid": CardUidTaken(f"there is already a card {uid}"),
            "fk_card_operator_id_user_id": UnknownUser("no user has the id in user_id"),
            "ck_card_uid_of_kind": UidTooLong(f"{uid} is longer, or kind says what it is"),
            "ck_card_contract": NoContract(f"{uid} is not as DE-ABC-C12345678-X"),
            "fk_card_operator_id_company_id": UnknownCompany("look at company_id"),
            "fk_card_operator_id_company_id_cost_centre_id": UnknownCompany(
                "look at company_id and cost_centre_id"
            ),
            "ck_card_master_of_company": MasterOfNoCompany("send company_id as well"),
            "ck_card_centre_of_company": MasterOfNoCompany("send company_id as well"),
            "uq_card_master_of_company": MasterTaken("make that one a user card first"),
            "ck_card_strategy_not_on_user_card": StrategyOnUserCard("put it on the master card"),
            "ck_card_partner_alone": PartnersCard("it belongs to no user and no company"),
            "fk_card_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
            "ck_card_valid_from_before_until": ValidityReversed("valid_from < valid_until, please"),
            "ck_card_master_pass_of_group": MasterPassOfNoGroup("send group_id with master_pass"),
        }
    )


async def tell(db: AsyncSession, row: Card) -> None:
    event = CardChanged(operator_id=row.operator_id, **state(row).model_dump())
    await outbox.emit(db, event)


def state(row: Card) -> CardState:
    """What others are told of a card."""
    named = CardState.model_fields.keys() - {"card_id"}
    return CardState(card_id=row.id, **{name: getattr(row, name) for name in named})
