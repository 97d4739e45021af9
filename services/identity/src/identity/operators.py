"""Operators: the tenants. Only the platform's own staff has these scopes."""

from typing import Any, ClassVar, Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.expression import cast

from common import outbox, paging, single
from common.auth import scoped
from common.contacts import Email, Phone, Website
from common.database import Db, set_operator
from common.events import OperatorChanged
from common.fields import Body, Line, Patch
from common.ids import uuid7
from common.money import CurrencyIn
from common.paging import Cursor, Limit, Page, rows
from common.problems import Problem
from common.versions import Expected
from identity.fields import Bic, Country, Iban, Languages, TimeZone, VatId
from identity.policies import Policies
from identity.tables import Login, Operator

router = APIRouter(prefix="/v1/operators", tags=["operators"])

reads = scoped("operators:read")
writes = scoped("operators:write")


class Facts(BaseModel):
    """What an operator is, legally and for its customers; billing writes it on invoices."""

    legal_name: Line | None = None
    street: Line | None = None
    postal_code: Line | None = None
    city: Line | None = None
    country: Country | None = None
    vat_id: VatId | None = None
    tax_number: Line | None = None
    register_entry: Line | None = None
    email: Email | None = None
    phone: Phone | None = None
    website: Website | None = None
    iban: Iban | None = None
    bic: Bic | None = None
    account_holder: Line | None = None


class NoBreakGlass(Problem):
    """So a provider that fails does not lock everybody out."""

    status = 409
    title = "Flag a login with break_glass first"


FACTS: Final = frozenset(Facts.model_fields)


class OperatorIn(Facts, Body):
    name: Line
    time_zone: TimeZone = "Europe/Berlin"
    currency: CurrencyIn = "EUR"
    active: bool = True
    languages: Languages = ["de", "en"]
    policies: Policies = Policies()


class SettingsPatch(Facts, Patch):
    """Of policies, those that are named change."""

    may_be_null: ClassVar[frozenset[str]] = FACTS

    name: Line | None = None
    time_zone: TimeZone | None = None
    languages: Languages | None = None
    policies: Policies | None = None


class OperatorPatch(SettingsPatch):
    currency: CurrencyIn | None = None
    active: bool | None = None


class OperatorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    time_zone: str
    currency: str
    active: bool
    legal_name: str | None
    street: str | None
    postal_code: str | None
    city: str | None
    country: str | None
    vat_id: str | None
    tax_number: str | None
    register_entry: str | None
    email: str | None
    phone: str | None
    website: str | None
    iban: str | None
    bic: str | None
    account_holder: str | None
    languages: list[str]
    policies: Policies
    version: int


@router.get("", summary="List the operators", dependencies=[reads])
async def list_operators(
    db: Db,
    name: Line | None = None,
    active: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[OperatorOut]:
    wanted = {Operator.name: name, Operator.active: active}
    conditions = paging.given(wanted)
    query = select(Operator).where(*conditions)
    found, following = await rows(db, query, Operator.id, limit=limit, cursor=cursor)
    return Page(items=[OperatorOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/{operator_id}", summary="Read an operator", dependencies=[reads])
async def read_operator(operator_id: UUID, db: Db, response: Response) -> OperatorOut:
    row = await single.get(db, Operator, operator_id)
    return OperatorOut.model_validate(single.tagged(response, row))


@router.post("", status_code=201, summary="Make an operator", dependencies=[writes])
async def make_operator(body: OperatorIn, db: Db, response: Response) -> OperatorOut:
    operator_id = uuid7()
    # The new row's own wall: it is not yet that of the operator the caller may act for.
    await set_operator(db, operator_id)
    # What was not said is not stored: its default may change.
    policies = body.policies.model_dump(exclude_unset=True)
    row = Operator(id=operator_id, **body.model_dump(exclude={"policies"}), policies=policies)
    db.add(row)
    await db.flush()
    await tell(db, row)
    return OperatorOut.model_validate(single.tagged(response, row))


@router.patch("/{operator_id}", summary="Change or switch off an operator", dependencies=[writes])
async def change_operator(
    operator_id: UUID, body: OperatorPatch, expected: Expected, db: Db, response: Response
) -> OperatorOut:
    return await change(db, operator_id, body, expected, response)


async def change(
    db: AsyncSession,
    operator_id: UUID,
    body: SettingsPatch,
    expected: frozenset[int] | None,
    response: Response,
) -> OperatorOut:
    values: dict[str, Any] = body.changes()
    if body.policies and body.policies.sso_only:
        await _require_break_glass(db, operator_id)
    if "policies" in values:
        # Put together by the database: two changes of different policies both hold.
        values["policies"] = Operator.policies.concat(cast(values["policies"], JSONB))
    row = await single.change(db, Operator, operator_id, expected, values)
    await tell(db, row)
    return OperatorOut.model_validate(single.tagged(response, row))


async def _require_break_glass(db: AsyncSession, operator_id: UUID) -> None:
    query = select(Login.id).where(
        Login.operator_id == operator_id,
        Login.break_glass,
        Login.active,
        Login.role == "operator-admin",
        Login.password_hash.is_not(None),
    )
    if await db.scalar(query.limit(1)) is None:
        raise NoBreakGlass("an admin who has a password, for the day the provider is away")


async def tell(db: AsyncSession, row: Operator) -> None:
    facts = {name: getattr(row, name) for name in FACTS}
    await outbox.emit(
        db,
        OperatorChanged(
            operator_id=row.id,
            version=row.version,
            name=row.name,
            time_zone=row.time_zone,
            currency=row.currency,
            personal_data_days=Policies.model_validate(row.policies).personal_data_days,
            active=row.active,
            languages=tuple(row.languages),
            **facts,
        ),
    )
