"""Charging states are kept as they came, in any order and any number of times."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from billing.charging_states import states_of
from common.events import ChargingStateReport, ChargingStatesReported
from common.ids import uuid7
from services.billing.tests.conftest import START, Billing


def report(billing: Billing, session_id: UUID, minute: int, state: str, **more: Any) -> Any:
    at = START + timedelta(minutes=minute)
    told = {
        "operator_id": billing.operator_id,
        "station_id": "CP-1",
        "evse_id": 1,
        "session_id": session_id,
        "at": at,
        "received_at": at,
        "state": state,
    }
    return ChargingStateReport.model_validate(told | more)


def told(*reports: ChargingStateReport) -> ChargingStatesReported:
    return ChargingStatesReported(reports=reports)


async def kept(billing: Billing, *session_ids: UUID) -> dict[UUID, list[tuple[int, str]]]:
    """By session, the states with the minute from which on each holds."""
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        found = await states_of(db, session_ids)
    return {
        session_id: [((at - START) // timedelta(minutes=1), state) for at, state in states]
        for session_id, states in found.items()
    }


async def test_states_come_in_any_order_and_twice_and_read_oldest_first(billing: Billing) -> None:
    one, other, none = uuid7(), uuid7(), uuid7()
    late = told(report(billing, one, 60, "suspended_ev"), report(billing, other, 5, "idle"))
    early = told(report(billing, one, 0, "charging"), report(billing, one, 30, "suspended_evse"))
    await billing.handle(late, early)
    await billing.handle(early.model_copy(update={"id": uuid7()}))
    assert await kept(billing, one, other, none) == {
        one: [(0, "charging"), (30, "suspended_evse"), (60, "suspended_ev")],
        other: [(5, "idle")],
        none: [],
    }


async def test_of_two_states_at_one_moment_the_later_told_counts(billing: Billing) -> None:
    session = uuid7()
    second = START + timedelta(minutes=1)
    before = report(billing, session, 0, "connected")
    after = report(billing, session, 0, "charging", received_at=second)
    other = uuid7()
    await billing.handle(told(before, after))
    turned = [one.model_copy(update={"session_id": other}) for one in (after, before)]
    await billing.handle(told(*turned))
    assert await kept(billing, session) == {session: [(0, "charging")]}
    assert await kept(billing, other) == {other: [(0, "charging")]}
    # Each by an event of its own, and the older one last.
    await billing.handle(told(before))
    assert await kept(billing, session) == {session: [(0, "charging")]}
    newest = second + timedelta(seconds=1)
    await billing.handle(told(report(billing, session, 0, "suspended_ev", received_at=newest)))
    assert await kept(billing, session) == {session: [(0, "suspended_ev")]}


async def test_R9_another_operator_reads_none_of_them(billing: Billing) -> None:
    session = uuid7()
    await billing.handle(told(report(billing, session, 0, "charging")))
    async with billing.app.state.connections.begin(uuid7()) as db:
        assert await states_of(db, [session]) == {session: []}


async def test_thousands_in_one_batch_are_one_statement(billing: Billing) -> None:
    sessions = [uuid7() for _ in range(40)]
    reports = [
        report(billing, session, minute, "charging" if minute % 2 else "suspended_ev")
        for session in sessions
        for minute in range(200)
    ]
    await billing.handle(told(*reports))
    found = await kept(billing, *sessions)
    assert {len(states) for states in found.values()} == {200}


async def test_a_state_of_no_time_zone_of_ours_is_the_same_moment(billing: Billing) -> None:
    session = uuid7()
    berlin = datetime.fromisoformat("2026-03-02T12:00:00+02:00")
    assert berlin.astimezone(UTC) == START
    await billing.handle(
        told(
            report(billing, session, 0, "charging"),
            report(billing, session, 0, "idle", at=berlin, received_at=START + timedelta(1)),
        )
    )
    assert await kept(billing, session) == {session: [(0, "idle")]}
