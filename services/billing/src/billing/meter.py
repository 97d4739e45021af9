"""Meter readings: kept as the charger sent them, and the newest register of each session."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Numeric,
    ScalarSelect,
    bindparam,
    case,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from common.events import Incident, MeterReport, MeterSample, MeterValuesReported

BEGIN: Final = "Transaction.Begin"
CLOCK: Final = "Sample.Clock"
REGISTER: Final = "Energy.Active.Import.Register"
# Where the car is; OCPP leaves the default, Outlet, out. Inlet counts the whole station.
REGISTER_LOCATIONS: Final = ("", "Outlet")
# Wh; more than any meter shows. What is kept as it came may have any number of digits, and one
# that cannot be reckoned with would hide what all the sessions cost that are read with it.
REGISTER_MAX: Final = 2**53
# Of one session; more than any vehicle's battery.
ENERGY_WH_MAX: Final = 1_000_000

COLUMN_TYPES: Final = {
    "operator_id": "uuid", "session_id": "uuid", "station_id": "text", "evse_id": "integer",
    "sampled_at": "timestamptz", "received_at": "timestamptz", "measurand": "text",
    "phase": "text", "location": "text", "context": "text", "value": "numeric", "unit": "text",
}  # fmt: skip
# Arrays, not a row of parameters a sample: a statement takes 32,767 parameters, a batch has any
# number of samples. No conflict target: either of the two unique indexes may find the repeat.
INSERT_SAMPLES: Final = text(
    f"insert into meter_sample ({', '.join(COLUMN_TYPES)}) select * from unnest("  # noqa: S608
    + ", ".join(f"cast(:{name} as {kind}[])" for name, kind in COLUMN_TYPES.items())
    + ") on conflict do nothing"
)
# Absolute and by the charger's own time, so late and repeated batches change nothing.
ADVANCE_REGISTERS: Final = text(
    "insert into register (operator_id, session_id, sampled_at, value_wh) select * from unnest("
    "cast(:operator_id as uuid[]), cast(:session_id as uuid[]), "
    "cast(:sampled_at as timestamptz[]), cast(:value_wh as numeric[])) "
    "on conflict (session_id) do update "
    "set sampled_at = excluded.sampled_at, value_wh = excluded.value_wh "
    "where (register.sampled_at, register.value_wh) < (excluded.sampled_at, excluded.value_wh)"
)


async def keep_readings(db: AsyncSession, event: MeterValuesReported) -> None:
    """Two statements whatever the size of the batch; of any operators' stations."""
    # In one order everywhere, so that replicas with overlapping batches cannot deadlock.
    rows = sorted(_samples(event.reports), key=_sample_key)
    if not rows:
        return
    columns = {name: [row[name] for row in rows] for name in COLUMN_TYPES}
    await db.execute(INSERT_SAMPLES, columns)
    newest = newest_registers(event.reports)
    if newest:
        await db.execute(ADVANCE_REGISTERS, {n: [row[n] for row in newest] for n in newest[0]})


def _samples(reports: Iterable[MeterReport]) -> Iterator[dict[str, Any]]:
    for report in reports:
        of_report = report.model_dump(exclude={"samples"})
        for sample in report.samples:
            yield {**of_report, **sample.model_dump()}


def _sample_key(row: dict[str, Any]) -> tuple[Any, ...]:
    of = (str(row["session_id"] or ""), row["station_id"], row["evse_id"])
    return (*of, *(row[name] for name in tables.SAMPLE_KEY))


def is_register(sample: MeterSample) -> bool:
    """Whether a reading is the energy delivered to the car so far, over all phases."""
    return (
        sample.measurand == REGISTER
        and sample.unit == "Wh"
        and not sample.phase
        and sample.location in REGISTER_LOCATIONS
        and abs(sample.value) <= REGISTER_MAX
    )


def of_register() -> tuple[ColumnElement[bool], ...]:
    """The same of kept readings."""
    sample = tables.MeterSample
    return (
        sample.measurand == REGISTER,
        sample.unit == "Wh",
        sample.phase == "",
        sample.location.in_(REGISTER_LOCATIONS),
        sample.value.between(-REGISTER_MAX, REGISTER_MAX),
    )


def assumed_start_wh() -> ScalarSelect[Decimal]:
    """Of a session in the same query whose start was told without a reading; null of any other.

    As the gateway does at the end: the reading that says it is of the start, else the first. What
    a station reads by the clock it may tell apart from its session, so the gateway need not know
    it at the end: with another reading there, it would make the driver see more than is owed.
    """
    sample, session = tables.MeterSample, tables.Session
    return (
        select(sample.value)
        .where(
            session.meter_start_wh.is_(None),
            sample.session_id == session.id,
            *of_register(),
        )
        .order_by(sample.context != BEGIN, sample.context == CLOCK, sample.sampled_at, sample.value)
        .limit(1)
        .correlate(session)
        .scalar_subquery()
    )


# A register only rises. So much it may seem to fall: one reading in Wh, the next in tenths of kWh.
REGISTER_SLACK_WH: Final = 100
_VALUE, _AT = tables.MeterSample.value, tables.MeterSample.sampled_at
_OF_SESSION: Final = (
    select(
        _AT.label("at"),
        _VALUE.label("wh"),
        func.max(_VALUE).over(order_by=(_AT, _VALUE), rows=(None, -1)).label("before"),
    )
    .where(tables.MeterSample.session_id == bindparam("session_id"), *of_register())
    .where(_AT.between(bindparam("started_at"), bindparam("ended_at")))
    .subquery()
)
# Some are read in whole kWh.
_SLACK: Final = case((_OF_SESSION.c.wh % 1000 == 0, 1000), else_=REGISTER_SLACK_WH)
_LEAST: Final = func.greatest(_OF_SESSION.c.before, bindparam("start_wh", type_=Numeric))
BACKWARDS: Final = (
    select(_OF_SESSION.c.at, _OF_SESSION.c.wh, _LEAST, bindparam("stop_wh", type_=Numeric))
    .where(
        or_(
            _OF_SESSION.c.wh < _LEAST - _SLACK,
            _OF_SESSION.c.wh > bindparam("stop_wh", type_=Numeric) + _SLACK,
        )
    )
    .order_by(_OF_SESSION.c.at)
    .limit(1)
)


async def backwards(db: AsyncSession, session: tables.Session) -> Incident | None:
    """Of a session that ended: whether its register fell on the way, or stood above its end."""
    values = {
        "session_id": session.id,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "start_wh": session.meter_start_wh,
        "stop_wh": session.meter_stop_wh,
    }
    row = (await db.execute(BACKWARDS, values)).first()
    if row is None:
        return None
    at, wh, least, stop_wh = row
    fell = least is not None and wh < least
    was, then = (least, wh) if fell else (wh, stop_wh)
    detail = f"the register went from {was:.0f} to {then:.0f} Wh by the reading of {at.isoformat()}"
    return Incident(kind="register_backwards", detail=detail)


def newest_registers(reports: Iterable[MeterReport]) -> list[dict[str, Any]]:
    """One row a session, in the order of session ids; of two readings at one moment the higher."""
    newest: dict[UUID, dict[str, Any]] = {}
    for report in reports:
        if report.session_id is None:
            continue
        for sample in filter(is_register, report.samples):
            row = {
                "operator_id": report.operator_id,
                "session_id": report.session_id,
                "sampled_at": sample.sampled_at,
                "value_wh": sample.value,
            }
            before = newest.get(report.session_id)
            if before is None or _age(before) < _age(row):
                newest[report.session_id] = row
    return [newest[session_id] for session_id in sorted(newest)]


def _age(row: dict[str, Any]) -> tuple[Any, Decimal]:
    return row["sampled_at"], row["value_wh"]
