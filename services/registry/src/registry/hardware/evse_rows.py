"""The rows of what stations are made of, of one station or of thousands at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, delete, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from registry import tables
from registry.hardware.models import Evse

AT_ONCE: Final = 1000  # keys a statement

_evse: Final = tables.Table.metadata.tables["evse"]
_connector: Final = tables.Table.metadata.tables["connector"]
_FACTS: Final = ("max_power_w", "phases", "physical_reference", "floor_level", "meter")
_UPDATE: Final = (
    update(_evse)
    .where(*(column == bindparam(f"its_{column.name}") for column in _evse.primary_key))
    .values({name: bindparam(name) for name in _FACTS})
)


@dataclass(frozen=True)
class Change:
    """What a station was made of, and is to be. retired: its codes are not in use."""

    station_id: str
    before: Sequence[Evse]
    after: Sequence[Evse]
    retired: bool = False


async def put(
    db: AsyncSession, operator_id: UUID, changes: Iterable[Change]
) -> list[tuple[str, str]]:
    """Returns station ids and codes that other EVSEs have; then the rows are not as they should be.

    An EVSE under another code is another EVSE, so codes may be swapped; any other stays in place.
    """
    gone: list[tuple[str, int]] = []
    rewired: list[tuple[str, int]] = []
    new: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    connectors: list[dict[str, Any]] = []
    for change in changes:
        was = {(evse.evse_id, evse.code): evse for evse in change.before}
        wanted = {(evse.evse_id, evse.code) for evse in change.after}
        gone += [(change.station_id, key[0]) for key in was if key not in wanted]
        for evse in change.after:
            key = {
                "operator_id": operator_id,
                "station_id": change.station_id,
                "evse_id": evse.evse_id,
            }
            before = was.get((evse.evse_id, evse.code))
            if before == evse:
                continue
            if before is None:
                new.append({**key, **_facts(evse), "code": evse.code, "retired": change.retired})
            else:
                kept.append({**{f"its_{name}": at for name, at in key.items()}, **_facts(evse)})
                rewired.append((change.station_id, evse.evse_id))
            connectors += [{**key, **connector.model_dump()} for connector in evse.connectors]
    await _delete(db, _evse, operator_id, gone)
    taken = await _insert(db, new)
    if taken:
        return taken
    if kept:
        await db.execute(_UPDATE, kept)
    await _delete(db, _connector, operator_id, rewired)
    if connectors:
        # With what is returned many rows are one statement, and one run of its triggers.
        await db.execute(insert(_connector).returning(_connector.c.connector_id), connectors)
    return []


def _facts(evse: Evse) -> dict[str, Any]:
    meter = evse.meter.model_dump(mode="json", exclude_none=True) if evse.meter else None
    return {name: getattr(evse, name) for name in _FACTS} | {"meter": meter}


async def _insert(db: AsyncSession, rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    if not rows:
        return []
    statement = insert(_evse).on_conflict_do_nothing()
    made = await db.execute(statement.returning(_evse.c.station_id, _evse.c.evse_id), rows)
    there = {tuple(row) for row in made}
    return [
        (row["station_id"], row["code"])
        for row in rows
        if (row["station_id"], row["evse_id"]) not in there
    ]


async def _delete(
    db: AsyncSession, table: Any, operator_id: UUID, keys: list[tuple[str, int]]
) -> None:
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        those = tuple_(table.c.station_id, table.c.evse_id).in_(some)
        await db.execute(delete(table).where(table.c.operator_id == operator_id, those))
