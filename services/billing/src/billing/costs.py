"""What sessions cost: from what is stored of them and their tariffs to the pure rating."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, bindparam, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from billing import rating, tables, terms
from billing.charging_states import states_of
from billing.definitions import Definition, compile_tariff, simple
from billing.meter import REGISTER_LOCATIONS, of_register
from billing.operators import DEFAULT_TIME_ZONE
from billing.rating import model
from billing.rating.course import ChargingState, Reading, Told
from billing.rating.periods import by_the_course, looks_at_samples
from billing.terms import Terms

COMPILED_MAX: Final = 1000  # versions of tariffs; some 10 MB
_compiled: OrderedDict[UUID, model.Tariff] = OrderedDict()

CURRENT: Final = "Current.Import"
POWER: Final = "Power.Active.Import"
# Of each session: a session's place decides by whose clock its days and nights are; once it has a
# record, the place as it was then.
_OF_RECORD: Final = (
    select(tables.Record.time_zone)
    .where(tables.Record.session_id == tables.Session.id, tables.Record.refers_to.is_(None))
    .correlate(tables.Session)
    .scalar_subquery()
)
TIME_ZONES: Final = (
    select(
        tables.Session.id,
        func.coalesce(
            _OF_RECORD, tables.Location.time_zone, tables.Operator.time_zone, DEFAULT_TIME_ZONE
        ),
    )
    .outerjoin(tables.Station, tables.Station.station_id == tables.Session.station_id)
    .outerjoin(tables.Location, tables.Location.location_id == tables.Station.location_id)
    .outerjoin(tables.Operator, tables.Operator.operator_id == tables.Session.operator_id)
    .where(tables.Session.id == func.any(bindparam("ids", type_=tables.UUIDS)))
)


@dataclass
class Details:
    """What a price may rest on beside energy and time."""

    time_zone: str = DEFAULT_TIME_ZONE
    readings: list[Reading] = field(default_factory=list)
    states: list[tuple[datetime, ChargingState]] = field(default_factory=list)
    currents: list[tuple[datetime, Decimal]] = field(default_factory=list)
    powers: list[tuple[datetime, Decimal]] = field(default_factory=list)


def tariff_of(row: tables.Tariff) -> model.Tariff:
    """A version never changes, so it is made once."""
    found = _compiled.get(row.id)
    if found is None:
        found = _compiled[row.id] = _compile(row)
        if len(_compiled) > COMPILED_MAX:
            _compiled.popitem(last=False)
    return found


def _compile(row: tables.Tariff) -> model.Tariff:
    if row.definition is not None:
        definition = Definition.model_validate(row.definition)
        return compile_tariff(definition, row.name, row.currency, tax_included=row.tax_included)
    elements = simple(row.energy_price, row.time_price, row.start_fee, row.vat_percent)
    return model.Tariff(row.name, row.currency, row.tax_included, elements)


async def details_of(
    db: AsyncSession,
    sessions: Sequence[tables.Session],
    tariffs: Iterable[tables.Tariff],
    more: Sequence[model.Modifier] = (),
) -> dict[UUID, Details]:
    """By session. Readings and states only of those whose price can depend on them.

    tariffs: all that these sessions may have. more: modifiers beside those of their terms.
    """
    by_id = {row.id: tariff_of(row) for row in tariffs}
    ids = [one.id for one in sessions]
    found = {
        row[0]: Details(time_zone=row[1]) for row in await db.execute(TIME_ZONES, {"ids": ids})
    }
    wanted = [
        one.id
        for one in sessions
        if one.tariff_id in by_id
        and by_the_course(by_id[one.tariff_id], (*terms.from_json(one.terms).modifiers, *more))
    ]
    if wanted:
        await _add_registers(db, found, wanted)
        for session_id, states in (await states_of(db, wanted)).items():
            found[session_id].states = states
    flowing = [
        one.id
        for one in sessions
        if one.tariff_id in by_id and looks_at_samples(by_id[one.tariff_id])
    ]
    if flowing:
        await _add_flow(db, found, flowing)
    return {session_id: found.get(session_id, Details()) for session_id in ids}


async def _add_registers(db: AsyncSession, found: dict[UUID, Details], ids: list[UUID]) -> None:
    sample = tables.MeterSample
    of_these = sample.session_id == func.any(bindparam("ids", type_=tables.UUIDS))
    registers = select(sample.session_id, sample.sampled_at, sample.value).where(
        of_these, *of_register()
    )
    for session_id, at, wh in await db.execute(registers, {"ids": ids}):
        assert session_id is not None
        found[session_id].readings.append(Reading(at, wh))


async def _add_flow(db: AsyncSession, found: dict[UUID, Details], ids: list[UUID]) -> None:
    """Current and power, over all phases: what is told of none by itself, or their sum."""
    sample = tables.MeterSample

    def of(*phases: str) -> ColumnElement[Decimal]:
        return func.sum(sample.value).filter(sample.phase.in_(phases))

    # By context: what is read for two reasons at one moment is not added up.
    whole = func.coalesce(of(""), of("L1", "L2", "L3"), of("L1-N", "L2-N", "L3-N"))
    flow = (
        select(sample.session_id, sample.sampled_at, sample.measurand, whole)
        .where(
            sample.session_id == func.any(bindparam("ids", type_=tables.UUIDS)),
            tuple_(sample.measurand, sample.unit).in_([(CURRENT, "A"), (POWER, "W")]),
            sample.location.in_(REGISTER_LOCATIONS),
        )
        .group_by(sample.session_id, sample.sampled_at, sample.measurand, sample.context)
        .having(whole.is_not(None))
    )
    for session_id, at, measurand, value in await db.execute(flow, {"ids": ids}):
        assert session_id is not None
        details = found[session_id]
        (details.currents if measurand == CURRENT else details.powers).append((at, value))


Charged = tables.Session | tables.Record  # a record has what a correction says


def told(session: Charged, ended_at: datetime, energy_wh: int, details: Details) -> Told:
    return Told(
        started_at=session.started_at,
        ended_at=ended_at,
        time_zone=ZoneInfo(details.time_zone),
        energy_wh=energy_wh,
        meter_start_wh=session.meter_start_wh,
        readings=details.readings,
        states=details.states,
        currents=details.currents,
        powers=details.powers,
    )


def price(
    session: Charged,
    tariff: tables.Tariff,
    of_it: Told,
    agreed: Terms | None = None,
) -> rating.Priced:
    """By the terms that were fixed at the start. Raises ValueError for what cannot be priced."""
    agreed = agreed or terms.from_json(session.terms)
    if agreed.method == "free":
        return rating.free(of_it, tariff_of(tariff), "free of charge by the accounting strategy")
    return rating.price(
        of_it,
        tariff_of(tariff),
        agreed.modifiers,
        agreed.tax,
        token_accepted=session.token_status == rating.ACCEPTED,
    )
