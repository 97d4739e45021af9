"""Simulated chargers of every version against the gateway: each session counts once."""

from typing import Any

import pytest
from gateway_wire import PASSWORD, Gateway

from common.events import MeterValuesReported, SessionEnded, SessionStarted
from csms_gateway.tables import TransactionEvent
from fleet import Charger, Faults, Vehicle

VERSIONS = ["1.6", "2.0.1", "2.1"]
SECOND = ["2.0.1", "2.1"]


@pytest.fixture
async def station(gateway: Gateway) -> str:
    return await gateway.add_station()


def charger_at(gateway: Gateway, station: str, version: str, **options: Any) -> Charger:
    fast: dict[str, Any] = {"delay_s": 0.01, "reconnect_min_s": 0.05, "meter_wh": 5_000}
    return Charger(gateway.url, station, PASSWORD, ocpp=version, **(fast | options))


async def once(gateway: Gateway, station: str) -> tuple[Any, Any]:
    """The one start and the one end of the one session."""
    (ended,) = await gateway.told(SessionEnded, station_id=station)
    (started,) = await gateway.told(SessionStarted, station_id=station)
    assert ended.session_id == started.session_id
    (row,) = await gateway.transactions(station_id=station)
    assert row["energy_wh"] == ended.energy_wh
    return started, ended


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_whole_session_becomes_one_transaction(
    gateway: Gateway, station: str, version: str
) -> None:
    async with charger_at(gateway, station, version) as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "GOOD", energy_wh=250, backdate=True)
        await charger.drain()
    started, ended = await once(gateway, station)
    assert result.energy_wh == ended.energy_wh == 250
    assert started.meter_start_wh == 5_000
    assert str(started.transaction_id) == str(result.transaction_id)
    assert (started.started_at, ended.ended_at) == (result.started_at, result.ended_at)
    assert ended.stop_reason == "Local"
    assert charger.violations == 0
    samples = [
        int(sample.value)
        for event in await gateway.told(MeterValuesReported)
        for report in event.reports
        if report.session_id == started.session_id
        for sample in report.samples
        if sample.measurand == "Energy.Active.Import.Register"
    ]
    assert samples and samples == sorted(samples)


@pytest.mark.parametrize("version", VERSIONS)
async def test_E12_a_session_that_nobody_heard_of_is_delivered_later(
    gateway: Gateway, station: str, version: str
) -> None:
    options = {"allow_offline": True, "time_scale": 1}
    async with charger_at(gateway, station, version, **options) as charger:
        await charger.wait_ready()
        await charger.go_offline(abruptly=True)
        result = await charger.charge(1, "GOOD", energy_wh=1_000, backdate=True)
        assert charger.queued > 0 and not gateway.of(SessionStarted, station_id=station)
        await charger.go_online()
        await charger.drain()
    started, ended = await once(gateway, station)
    assert ended.energy_wh == 1_000
    assert (started.started_at, ended.ended_at) == (result.started_at, result.ended_at)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "faults",
    [
        Faults(duplicate=True),
        Faults(drop_answers=2),
        Faults(duplicate=True, drop_answers=1, garbage=True),
        Faults(reorder=True),
    ],
    ids=["twice", "unheard", "both", "disorder"],
)
async def test_what_comes_twice_or_late_changes_no_energy(
    gateway: Gateway, station: str, version: str, faults: Faults
) -> None:
    async with charger_at(gateway, station, version, faults=faults) as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "GOOD", duration_s=200, backdate=True)
        await charger.drain()
    _, ended = await once(gateway, station)
    assert ended.energy_wh == result.energy_wh > 500
    if version != "1.6":
        rows = await gateway.rows(TransactionEvent, station)
        assert len({row.seq_no for row in rows}) == len(rows)


@pytest.mark.parametrize("version", SECOND)
@pytest.mark.parametrize(("faults", "known"), [(Faults(lose_updates=True), True),
                                               (Faults(lose_start=True), False)])  # fmt: skip
async def test_E04_FR_06_a_session_with_lost_events_is_told_after_the_grace(
    gateway: Gateway, station: str, version: str, faults: Faults, known: bool
) -> None:
    """Its energy is known if the first register came; if not, what the others prove at least."""
    async with charger_at(gateway, station, version, faults=faults) as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "GOOD", duration_s=200, backdate=True)
        await charger.drain()
        assert not gateway.of(SessionEnded, station_id=station)
        await gateway.execute(
            "update transaction set tell_by = now() where station_id = :station", station=station
        )
        await gateway.sweep_untold(station)
        (ended,) = await gateway.told(SessionEnded, station_id=station)
    assert (ended.energy_wh == result.energy_wh) is known
    assert 0 < ended.energy_wh <= result.energy_wh
    assert "missing_events" in {incident.kind for incident in ended.incidents}


@pytest.mark.parametrize("version", SECOND)
async def test_a_session_goes_on_while_the_connection_is_cut(
    gateway: Gateway, station: str, version: str
) -> None:
    async with charger_at(gateway, station, version, sample_interval_s=1) as charger:
        await charger.wait_ready()
        await charger.plug_in(1, Vehicle())
        assert await charger.tap(1, "GOOD") == "Accepted"
        await gateway.told(SessionStarted, station_id=station)
        for _ in range(3):
            await charger.cut()
            await charger.wait_ready()
        await charger.unplug(1)
        await charger.drain()
    _, ended = await once(gateway, station)
    assert ended.stop_reason == "EVDisconnected"


@pytest.mark.parametrize("version", SECOND)
async def test_a_refused_driver_gets_nothing(gateway: Gateway, station: str, version: str) -> None:
    async with charger_at(gateway, station, version) as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "BAD", energy_wh=250, backdate=True)
    assert (result.status, result.energy_wh) == ("Blocked", 0)
    assert not gateway.of(SessionStarted, station_id=station)
