"""A plan of stations carried out, and what it needs to know before."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import ARRAY, RowMapping, Text, bindparam, cast, func, select, text, update
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox
from common.events import StationCredentialSet
from common.sheet_rows import Fault
from registry.fields import bare
from registry.hardware import evse_rows, stations
from registry.hardware.models import Connector, Evse, EvseKind
from registry.hardware.stations import StationOut
from registry.places import locations
from registry.station_imports.plan import (
    ADDRESS,
    FACTS,
    Known,
    PlaceNow,
    Plan,
    StationNow,
    TemplateNow,
    Wanted,
)
from registry.tables import Location, StationTemplate, Table

AT_ONCE: Final = 1000
# One import of an operator after the other: each might make the same locations.
LOCK: Final = text(
    "select pg_advisory_xact_lock(hashtext('station-import'), hashtext(cast(:operator as text)))"
)
_station: Final = Table.metadata.tables["station"]
_evse: Final = Table.metadata.tables["evse"]
_connector: Final = Table.metadata.tables["connector"]
_CHANGE: Final = (
    update(_station)
    .where(_station.c.id == bindparam("its_id"))
    .values({name: bindparam(name) for name in FACTS} | {"version": _station.c.version + 1})
)


async def load(db: AsyncSession, operator_id: UUID, station_ids: Collection[str]) -> Known:
    """Locked, so that what is planned of it stays true."""
    await db.execute(LOCK, {"operator": str(operator_id)})
    columns = (Location.id, Location.name, *(getattr(Location, name) for name in ADDRESS))
    found = await db.execute(select(*columns).filter_by(operator_id=operator_id))
    places = [PlaceNow(place_id, name, tuple(address)) for place_id, name, *address in found]
    templates = await db.scalars(select(StationTemplate).filter_by(operator_id=operator_id))
    return Known(
        places,
        {row.name.casefold(): _template(row) for row in templates},
        await _stations(db, operator_id, sorted(station_ids)),
    )


def _template(row: StationTemplate) -> TemplateNow:
    kinds = [EvseKind.model_validate(kind) for kind in row.evses]
    return TemplateNow(row.vendor, row.model, row.code_pattern, kinds)


async def _stations(db: AsyncSession, operator_id: UUID, ids: list[str]) -> dict[str, StationNow]:
    """By plain rows: as entities thousands of them take ten times as long."""
    evses: dict[str, list[Evse]] = defaultdict(list)
    plugs: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in await _of(db, _connector, operator_id, ids):
        plugs[row["station_id"], row["evse_id"]].append(_members(row, Connector))
    for row in await _of(db, _evse, operator_id, ids):
        mine = {"connectors": plugs[row["station_id"], row["evse_id"]]}
        evses[row["station_id"]].append(Evse.model_validate(_members(row, Evse) | mine))
    return {
        row["id"]: StationNow(
            {name: row[name] for name in FACTS},
            row["version"],
            row["active"],
            row["decommissioned_at"] is None,
            evses[row["id"]],
        )
        for row in await _of(db, _station, operator_id, ids, lock=True)
    }


async def _of(
    db: AsyncSession, table: SqlTable, operator_id: UUID, ids: list[str], *, lock: bool = False
) -> Sequence[RowMapping]:
    """In the order of their keys. ids: as one array, for parameters are limited to 32,767."""
    station_id = table.c.get("station_id", table.c.get("id"))
    assert station_id is not None
    mine = table.c.operator_id == operator_id
    query = select(table).where(mine, station_id == func.any(cast(ids, ARRAY(Text))))
    query = query.order_by(*table.primary_key)
    if lock:
        query = query.with_for_update(key_share=True)
    return (await db.execute(query)).mappings().all()


def _members(row: RowMapping, of: type[BaseModel]) -> dict[str, Any]:
    return {name: row[name] for name in of.model_fields if name in row}


async def carry_out(
    db: AsyncSession, operator_id: UUID, plan: Plan, hashes: Mapping[str, str]
) -> list[Fault]:
    """Store it; of faults the caller undoes all. hashes: of the new stations' passwords."""
    for some in (plan.places[at : at + AT_ONCE] for at in range(0, len(plan.places), AT_ONCE)):
        db.add_all(
            Location(id=new.id, operator_id=operator_id, **new.body.columns()) for new in some
        )
        await db.flush()
    made = [one for one in plan.stations if one.outcome == "make"]
    changed = [one for one in plan.stations if one.outcome == "change"]
    if faults := await _make(db, operator_id, made, hashes):
        taken = {fault.value for fault in faults}
        made = [one for one in made if one.station_id not in taken]
    if changed:
        await db.execute(_CHANGE, [{"its_id": one.station_id, **one.facts} for one in changed])
    wanted = {one.station_id: one for one in (*made, *changed)}
    hardware = [evse_rows.Change(one.station_id, one.before, one.evses) for one in wanted.values()]
    for station_id, code in await evse_rows.put(db, operator_id, hardware):
        line = wanted[station_id].code_lines[bare(code)]
        faults.append(Fault(line, "evse_code", code, "belongs to another EVSE"))
    return sorted(faults, key=lambda fault: fault.line)


async def _make(
    db: AsyncSession, operator_id: UUID, made: list[Wanted], hashes: Mapping[str, str]
) -> list[Fault]:
    if not made:
        return []
    rows = [
        {
            "id": one.station_id,
            "operator_id": operator_id,
            "version": 1,
            **one.facts,
            "active": True,
            "credential_version": 1,
            "password_hash": hashes[one.station_id],
        }
        for one in made
    ]
    new = insert(_station).on_conflict_do_nothing(index_elements=["id"])
    there = set((await db.scalars(new.returning(_station.c.id), rows)).all())
    # The same words whoever has it: ids of other operators are nobody's business.
    return [
        Fault(one.line, "station_id", one.station_id, "is taken")
        for one in made
        if one.station_id not in there
    ]


async def tell(db: AsyncSession, operator_id: UUID, plan: Plan, hashes: Mapping[str, str]) -> None:
    """Of what was carried out."""
    new = [one.id for one in plan.places]
    for start in range(0, len(new), AT_ONCE):
        query = select(Location).where(Location.id.in_(new[start : start + AT_ONCE]))
        await outbox.emit(db, *(locations.changed(row) for row in await db.scalars(query)))
    touched = [one for one in plan.stations if one.outcome != "unchanged"]
    for start in range(0, len(touched), AT_ONCE):
        some = touched[start : start + AT_ONCE]
        await outbox.emit(db, *(stations.changed(_out(operator_id, one)) for one in some))
        credentials = (
            StationCredentialSet(
                operator_id=operator_id,
                station_id=one.station_id,
                version=1,
                password_hash=hashes[one.station_id],
            )
            for one in some
            if one.outcome == "make"
        )
        await outbox.emit(db, *credentials)


def _out(operator_id: UUID, wanted: Wanted) -> StationOut:
    return StationOut(
        id=wanted.station_id,
        operator_id=operator_id,
        version=wanted.version,
        **wanted.facts,
        active=wanted.active,
        decommissioned_at=None,
        decommission_reason=None,
        evses=wanted.evses,
    )
