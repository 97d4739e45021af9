"""What stations told last of their variables (OCPP 2.x) and configuration keys (1.6).

Write-only ones and whatever is named like a password are kept without their value.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import func, select

from common import paging
from common.auth import scoped
from common.clock import now
from common.database import Db
from csms_gateway import connections, statuses, tables
from csms_gateway.charger import Charger
from csms_gateway.device_model import ATTRIBUTES, WRITE_ONLY, Name, Told, folded, key, named, secret
from csms_gateway.stored_json import as_json

# A full inventory of a large station has some thousand; new ones beyond this are a fault.
VARIABLES_MAX: Final = 20_000
NUMBER_END: Final = 2**31
TAKEN: Final = {"Accepted", "RebootRequired"}  # SetVariables and ChangeConfiguration

UPSERT: Final = f"""
with told as (
    select * from jsonb_to_recordset($3::jsonb) as t(
        component text, component_instance text, evse_id int, connector_id int,
        variable text, variable_instance text, attribute text,
        value text, mutability text, characteristics jsonb
    )
)
insert into variable as v (
    operator_id, station_id, component, component_instance, evse_id, connector_id, variable,
    variable_instance, attribute, value, mutability, characteristics, seen_at
)
select $1, $2, t.*, $4 from told t
where (select count(*) from variable where station_id = $2) < {VARIABLES_MAX} or exists (
    select from variable k where k.station_id = $2
    and (k.component, k.component_instance, k.evse_id, k.connector_id, k.variable,
        k.variable_instance, k.attribute) = (t.component, t.component_instance, t.evse_id,
        t.connector_id, t.variable, t.variable_instance, t.attribute)
)
on conflict (
    station_id, component, component_instance, evse_id, connector_id, variable,
    variable_instance, attribute
) do update set
    operator_id = excluded.operator_id, seen_at = excluded.seen_at,
    value = case when v.mutability = $5 then null else excluded.value end,
    mutability = coalesce(excluded.mutability, v.mutability),
    characteristics = coalesce(excluded.characteristics, v.characteristics)
"""  # noqa: S608 - a number of ours
FORGET: Final = """
delete from variable where station_id = $1 and component = '' and variable = any($2)
"""
NUMBER: Final = """
select value from variable
where station_id = $1 and lower(component) = lower($2) and lower(variable) = lower($3)
and lower(variable_instance) = lower($4) and attribute = 'Actual' and value ~ '^[0-9]{1,9}$'
order by seen_at desc limit 1
"""


async def store(charger: Charger, told: Iterable[Told]) -> None:
    """Return when it is stored. Raises Violation for numbers that can be none."""
    rows: dict[Name, dict[str, Any]] = {}  # one statement cannot write a row twice
    for one in told:
        if one.name.attribute not in ATTRIBUTES:
            continue
        statuses.number(one.name.evse_id, "evse/id", end=NUMBER_END)
        statuses.number(one.name.connector_id, "evse/connectorId", end=NUMBER_END)
        hidden = one.mutability == WRITE_ONLY or secret(one.name.variable)
        rows[one.name] = one.name._asdict() | {
            "value": None if hidden else one.value,
            "mutability": one.mutability,
            "characteristics": one.characteristics,
        }
    if rows:
        await charger.gateway.pool.execute(
            UPSERT, charger.operator_id, charger.station_id, as_json(list(rows.values())), now(),
            WRITE_ONLY,
        )  # fmt: skip
        charger.gateway.tariffs.forget_display(charger.station_id)


async def forget(charger: Charger, keys: list[str]) -> None:
    """Configuration keys that the station does not know (any more)."""
    await charger.gateway.pool.execute(FORGET, charger.station_id, keys)


async def number(charger: Charger, component: str, variable: str, instance: str) -> int | None:
    """A limit that the station told, or None."""
    found = await charger.gateway.pool.fetchval(
        NUMBER, charger.station_id, component, variable, instance
    )
    # 0 would be no limit that anything can be sent by.
    return int(found) or None if found is not None else None


async def got(charger: Charger, _: dict[str, Any], answer: dict[str, Any]) -> None:
    """The answer to GetVariables (2.0.1, B06)."""
    results = answer["getVariableResult"]
    await store(
        charger,
        [
            Told(named(one, one.get("attributeType")), one.get("attributeValue"))
            for one in results
            if one["attributeStatus"] == "Accepted"
        ],
    )


async def were_set(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    """The answer to SetVariables (2.0.1, B05): the values that were taken."""
    asked = [named(one, one.get("attributeType")) for one in payload["setVariableData"]]
    values = [one["attributeValue"] for one in payload["setVariableData"]]
    given = dict(zip(map(folded, asked), zip(asked, values, strict=True), strict=True))
    taken = [
        folded(named(one, one.get("attributeType")))
        for one in answer["setVariableResult"]
        if one["attributeStatus"] in TAKEN
    ]
    await store(charger, [Told(*given[name]) for name in taken if name in given])


async def configuration_got(charger: Charger, _: dict[str, Any], answer: dict[str, Any]) -> None:
    """The answer to GetConfiguration (OCPP 1.6, 5.8)."""
    await store(
        charger,
        [
            Told(key(one["key"]), one.get("value"), "ReadOnly" if one["readonly"] else "ReadWrite")
            for one in answer.get("configurationKey", [])
        ],
    )
    if unknown := answer.get("unknownKey"):
        await forget(charger, unknown)


async def configuration_changed(
    charger: Charger, payload: dict[str, Any], answer: dict[str, Any]
) -> None:
    """The answer to ChangeConfiguration (OCPP 1.6, 5.3)."""
    if answer["status"] in TAKEN:
        await store(charger, [Told(key(payload["key"]), payload["value"])])


router = APIRouter(tags=["variables"])


class VariableOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    component: str | None = Field(description="null: a configuration key of OCPP 1.6")
    component_instance: str | None
    evse_id: int | None
    connector_id: int | None
    variable: str
    variable_instance: str | None
    attribute: Literal["Actual", "Target", "MinSet", "MaxSet"]
    value: str | None = Field(description="null: write-only, or never told")
    mutability: Literal["ReadOnly", "WriteOnly", "ReadWrite"] | None
    characteristics: dict[str, Any] | None = Field(description="VariableCharacteristicsType")
    seen_at: datetime = Field(description="when the station told it last")

    @field_validator("component", "component_instance", "variable_instance", mode="before")
    @classmethod
    def _no_name(cls, value: str) -> str | None:
        return value or None

    @field_validator("evse_id", "connector_id", mode="before")
    @classmethod
    def _no_number(cls, value: int) -> int | None:
        return value or None


NameFilter = Annotated[str | None, Query(max_length=50, description="in any case")]


@router.get(
    "/v1/stations/{station_id}/variables",
    summary="A station's variables, in 1.6 its configuration keys, as it told them last",
    dependencies=[scoped("stations:read")],
)
async def list_variables(
    station_id: connections.StationPath,
    db: Db,
    component: NameFilter = None,
    variable: NameFilter = None,
    evse_id: Annotated[int | None, Query(ge=0, lt=NUMBER_END)] = None,
    attribute: Literal["Actual", "Target", "MinSet", "MaxSet"] | None = None,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[VariableOut]:
    table = tables.Variable
    query = select(table).where(table.station_id == station_id)
    if attribute is not None:
        query = query.where(table.attribute == attribute)
    for column, name in ((table.component, component), (table.variable, variable)):
        if name is not None:
            query = query.where(func.lower(column) == name.lower())
    if evse_id is not None:
        query = query.where(table.evse_id == evse_id)
    rows, after = await paging.rows(db, query, table.id, limit=limit, cursor=cursor)
    return paging.Page(items=[VariableOut.model_validate(row) for row in rows], next_cursor=after)
