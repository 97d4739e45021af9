"""Access rules: which cards, users, groups, companies and partners may charge where and when."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging, single
from common.auth import Caller, Principal, scoped
from common.database import Db
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page, rows
from common.places import PlaceIn
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected
from identity.access.rules import Effect, HolderKind, Rule, Window
from identity.refusals import UnknownOperator
from identity.tables import (
    AccessRevision,
    AccessRule,
    Card,
    Company,
    Partner,
    Station,
    StationGroup,
    User,
    UserGroup,
)

router = APIRouter(prefix="/v1/access-rules", tags=["access rules"])

reads = scoped("access-rules:read")
writes = scoped("access-rules:write")

NAMED_MAX: Final = 1000
DAYS: Final = ("mo", "tu", "we", "th", "fr", "sa", "su")


class RuleNameTaken(Problem):
    status = 409
    title = "There is an access rule with this name already"


class UnknownHolder(Problem):
    status = 422
    title = "The operator has no such card, user, group, company or partner"


class UnknownPlace(Problem):
    status = 422
    title = "The operator has no such station or station group"


class RulesOfEveryLocation(Problem):
    status = 403
    title = "Access rules are made by staff who see every location"


class HolderIn(Body):
    kind: HolderKind
    id: UUID | None = Field(default=None, description="null: kind is everybody")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind == "everybody") != (self.id is None):
            raise ValueError("everybody has no id, whoever else has one")
        return self


Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class WindowIn(Body):
    days: Annotated[list[Literal[DAYS]], Field(min_length=1, max_length=7)]  # type: ignore[valid-type]
    begin: Clock = Field(examples=["22:00"])
    end: Clock = Field(
        description="before begin: on the day after; the same: a whole day", examples=["06:00"]
    )


Holders = Annotated[list[HolderIn], Field(min_length=1, max_length=NAMED_MAX)]
Places = Annotated[list[PlaceIn], Field(min_length=1, max_length=NAMED_MAX)]
Windows = Annotated[
    list[WindowIn], Field(max_length=50, description="by the operator's clock; none: always")
]


class AccessRuleIn(Body):
    name: Line
    effect: Effect
    holders: Holders
    places: Places
    windows: Windows = Field(default=[])
    valid_from: date | None = None
    valid_until: date | None = Field(default=None, description="the last day")
    active: bool = True


class AccessRulePatch(Patch):
    may_be_null: ClassVar[frozenset[str]] = frozenset({"valid_from", "valid_until"})

    name: Line | None = None
    effect: Effect | None = None
    holders: Holders | None = None
    places: Places | None = None
    windows: Windows | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    active: bool | None = None


class AccessRuleOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    name: str
    effect: Effect
    holders: list[HolderIn]
    places: list[PlaceIn]
    windows: list[WindowIn]
    valid_from: date | None
    valid_until: date | None
    active: bool
    version: int
    deleted_station_groups: list[UUID] = Field(
        default=[],
        description="of the places: the rule goes on for the stations that were in them last",
    )


@router.get("", summary="List the access rules", dependencies=[reads])
async def list_rules(
    db: Db, caller: Caller, name: Line | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[AccessRuleOut]:
    wanted = {AccessRule.operator_id: caller.operator_id, AccessRule.name: name}
    conditions = paging.given(wanted)
    query = select(AccessRule).where(*conditions)
    found, following = await rows(db, query, AccessRule.id, limit=limit, cursor=cursor)
    return Page(items=await _shown(db, found), next_cursor=following)


@router.get("/{rule_id}", summary="Read an access rule", dependencies=[reads])
async def read_rule(rule_id: UUID, db: Db, response: Response) -> AccessRuleOut:
    row = await single.get(db, AccessRule, rule_id)
    [shown] = await _shown(db, [single.tagged(response, row)])
    return shown


@router.post("", status_code=201, summary="Make an access rule", dependencies=[writes])
async def make_rule(
    body: AccessRuleIn, db: Db, caller: Caller, response: Response
) -> AccessRuleOut:
    _of_every_location(caller)
    operator_id = caller.tenant()
    await _known(db, operator_id, body.holders, body.places)
    row = AccessRule(operator_id=operator_id, **_stored(body.model_dump(mode="json"), body))
    db.add(row)
    with _refusing(body.name):
        await db.flush()
    await revise(db, operator_id)
    return AccessRuleOut.model_validate(single.tagged(response, row))


@router.patch("/{rule_id}", summary="Change an access rule", dependencies=[writes])
async def change_rule(
    rule_id: UUID,
    body: AccessRulePatch,
    expected: Expected,
    db: Db,
    caller: Caller,
    response: Response,
) -> AccessRuleOut:
    _of_every_location(caller)
    operator_id = (await single.get(db, AccessRule, rule_id)).operator_id
    await _known(db, operator_id, body.holders or [], body.places or [])
    values = _stored(body.model_dump(mode="json", exclude_unset=True), body)
    with _refusing(body.name):
        row = await single.change(db, AccessRule, rule_id, expected, values)
    await revise(db, operator_id)
    [shown] = await _shown(db, [single.tagged(response, row)])
    return shown


@router.delete(
    "/{rule_id}", status_code=204, summary="Delete an access rule", dependencies=[writes]
)
async def delete_rule(rule_id: UUID, expected: Expected, db: Db, caller: Caller) -> None:
    _of_every_location(caller)
    row = await single.change(db, AccessRule, rule_id, expected, {})
    await db.execute(delete(AccessRule).where(AccessRule.id == rule_id))
    await revise(db, row.operator_id)


def _of_every_location(caller: Principal) -> None:
    if caller.locations is not None:
        raise RulesOfEveryLocation("ask an admin")


def _stored(values: dict[str, Any], body: AccessRuleIn | AccessRulePatch) -> dict[str, Any]:
    dates = {"valid_from", "valid_until"} & values.keys()
    return values | {name: getattr(body, name) for name in dates}


TABLES: Final[dict[str, Any]] = {
    "card": Card, "user": User, "user_group": UserGroup, "company": Company, "partner": Partner,
}  # fmt: skip


async def _known(
    db: AsyncSession, operator_id: UUID, holders: list[HolderIn], places: list[PlaceIn]
) -> None:
    """Raises UnknownHolder or UnknownPlace. A location is registry's to know; none is ever met."""
    for kind, table in TABLES.items():
        wanted = {one.id for one in holders if one.kind == kind}
        known = select(table.id).where(table.operator_id == operator_id, table.id.in_(wanted))
        if wanted and (missing := wanted - set(await db.scalars(known))):
            raise UnknownHolder(f"no {kind} has the id {min(missing, key=str)}")
    groups = {UUID(one.id) for one in places if one.kind == "station_group"}
    alive = select(StationGroup.group_id).where(
        StationGroup.operator_id == operator_id,
        StationGroup.group_id.in_(groups),
        ~StationGroup.deleted,
    )
    if groups and (gone := groups - set(await db.scalars(alive))):
        raise UnknownPlace(f"no station group has the id {min(gone, key=str)}")
    stations = {one.id for one in places if one.kind == "station"}
    there = select(Station.station_id).where(
        Station.operator_id == operator_id, Station.station_id.in_(stations)
    )
    if stations and (nowhere := stations - set(await db.scalars(there))):
        raise UnknownPlace(f"no station has the id {min(nowhere, key=str)}")


async def _shown(db: AsyncSession, found: Sequence[AccessRule]) -> list[AccessRuleOut]:
    shown = [AccessRuleOut.model_validate(row) for row in found]
    named = {one.id for rule in shown for one in rule.places if one.kind == "station_group"}
    if named:
        gone = select(StationGroup.group_id).where(
            StationGroup.group_id.in_([UUID(one) for one in named]), StationGroup.deleted
        )
        deleted = set(await db.scalars(gone))
        for rule in shown:
            of_rule = {UUID(one.id) for one in rule.places if one.kind == "station_group"}
            rule.deleted_station_groups = sorted(deleted & of_rule)
    return shown


async def revise(db: AsyncSession, operator_id: UUID) -> None:
    row = insert(AccessRevision).values(operator_id=operator_id, revision=1)
    later = row.on_conflict_do_update(
        index_elements=[AccessRevision.operator_id],
        set_={"revision": AccessRevision.revision + 1},
    )
    await db.execute(later)


def compiled(row: Any) -> Rule:
    """What access.rules judges by, of a stored row."""
    return Rule(
        name=row["name"],
        effect=row["effect"],
        holders=frozenset((one["kind"], str(one["id"] or "")) for one in row["holders"]),
        places=frozenset((one["kind"], str(one["id"] or "")) for one in row["places"]),
        windows=tuple(
            Window(
                days=frozenset(DAYS.index(day) for day in one["days"]),
                begin=_minutes(one["begin"]),
                end=_minutes(one["end"]),
            )
            for one in row["windows"]
        ),
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
    )


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _refusing(name: str | None) -> AbstractContextManager[None]:
    return refusing(
        {
            "uq_access_rule_operator_id_name": RuleNameTaken(f"there is a rule {name!r}"),
            "fk_access_rule_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
        }
    )
