"""The charging power: what a charger says, or what its register tells."""

import itertools
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack import eventually

from common.events import MeterReport, MeterSample, MeterValuesReported
from common.ids import uuid7
from registry.live.power import POWER_MAX_W, readings
from services.registry.tests.conftest import Operator
from services.registry.tests.test_statuses import NOON, ended, handled, s, started

OPERATOR, SESSION = UUID(int=1), UUID(int=2)


def power(value: float | str, unit: str = "W", at_s: float = 0, **more: Any) -> MeterSample:
    return MeterSample(
        sampled_at=NOON + s(at_s),
        measurand="Power.Active.Import",
        value=Decimal(str(value)),
        unit=unit,
        **more,
    )


def register(value: float, at_s: float = 0, **more: Any) -> MeterSample:
    return MeterSample(sampled_at=NOON + s(at_s), value=Decimal(str(value)), unit="Wh", **more)


def report(
    *samples: MeterSample,
    operator_id: UUID = OPERATOR,
    station_id: str = "A",
    evse_id: int = 1,
    session_id: UUID | None = SESSION,
) -> MeterReport:
    return MeterReport(
        operator_id=operator_id,
        station_id=station_id,
        evse_id=evse_id,
        session_id=session_id,
        received_at=NOON,
        samples=samples,
    )


@pytest.mark.parametrize(
    ("samples", "power_w", "register_wh"),
    [
        ([power(11_040)], 11_040, None),
        ([power("7.36", "kW")], 7360, None),
        ([power(3, phase="L1"), power(4, phase="L2"), power(5, phase="L3")], 12, None),
        ([power(3, phase="L1-N"), power(4, phase="L2-N")], 7, None),
        ([power(3, phase="L1"), power(9), power(4, phase="L2")], 9, None),  # the whole was told
        ([power(230, phase="L1-L2"), power(3, phase="L1")], 3, None),
        ([power(5, location="Inlet"), power(4, location="Outlet")], 4, None),
        ([power(5, location="EV")], None, None),
        ([register(1234.9)], None, 1234),
        ([register(10, phase="L1"), power(1)], 1, None),
        ([power(1, at_s=0), power(2, at_s=9), register(7, at_s=4)], 2, 7),
        ([power(-5), register(-1), register(3)], None, None),  # the second register is a repeat
        ([power(POWER_MAX_W + 1)], None, None),
        ([power(11, "VA")], None, None),
        ([], None, None),
    ],
)
def test_power_and_energy_are_read_as_ocpp_means_them(
    samples: list[MeterSample], power_w: int | None, register_wh: int | None
) -> None:
    found = readings([report(*samples)])
    if power_w is register_wh is None:
        assert found == []
    else:
        [one] = found
        assert (one.power_w, one.register_wh) == (power_w, register_wh)


def test_what_is_not_of_a_session_is_not_read() -> None:
    assert readings([report(power(5), session_id=None)]) == []


def test_measurands_in_messages_of_their_own_are_one_reading() -> None:
    [one] = readings([report(power(5)), report(register(7)), report(power(4, at_s=-1))])
    assert (one.power_w, one.register_wh, one.sampled_at) == (5, 7, NOON)


samples = st.one_of(
    st.builds(power, st.integers(0, 50), at_s=st.integers(0, 3)),
    st.builds(register, st.integers(0, 50), at_s=st.integers(0, 3)),
)
meter_reports = st.builds(
    lambda told, evse_id, session: report(*told, evse_id=evse_id, session_id=UUID(int=session)),
    st.lists(samples, max_size=3),
    st.integers(1, 2),
    st.integers(1, 2),
)


@given(st.lists(meter_reports, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_reports_and_repeats_do_not_matter(
    told: list[MeterReport], random: Any
) -> None:
    other = [*told, *told[:2]]
    random.shuffle(other)
    found = readings(told)
    assert readings(other) == found
    keys = [(one.station_id, one.evse_id) for one in found]
    assert keys == sorted(set(keys))


def metered(operator: Operator, station_id: str, session: UUID, *told: MeterSample) -> Any:
    return MeterValuesReported(
        reports=(report(*told, operator_id=operator.id, station_id=station_id, session_id=session),)
    )


async def running(operator: Operator, station_id: str) -> dict[str, Any]:
    found = (await operator.status(station_id))["evses"][0]["session"]
    return {} if found is None else dict(found)


def begun(operator: Operator, station_id: str, at: datetime = NOON, wh: int = 1000) -> Any:
    start = started(operator, station_id, uuid7(), at)
    return start.model_copy(update={"meter_start_wh": wh})


async def test_a_running_session_shows_its_power_and_energy_until_it_ends(
    operator: Operator,
) -> None:
    station_id = await operator.station()
    session = begun(operator, station_id)
    samples = power("11", "kW", 60), register(1180, 60)
    told = metered(operator, station_id, session.session_id, *samples)
    # Before its start: meter values come by another stream.
    await operator.registry.publish(told)
    await handled(operator, session)

    async def shown() -> dict[str, Any]:
        found = await running(operator, station_id)
        return {name: found.get(name) for name in ("power_w", "energy_wh", "metered_at")}

    at = (NOON + s(60)).isoformat().replace("+00:00", "Z")
    await seen(operator, station_id, power_w=11_000)
    assert await shown() == {"power_w": 11_000, "energy_wh": 180, "metered_at": at}
    # Old news, and another session's.
    await operator.registry.publish(
        metered(operator, station_id, session.session_id, power(1, at_s=30), register(1001, 30)),
    )
    await handled(operator, ended(session))
    assert await running(operator, station_id) == {}
    following = begun(operator, station_id, NOON + s(4000))
    await handled(operator, following)
    assert await shown() == {"power_w": None, "energy_wh": None, "metered_at": None}


async def seen(operator: Operator, station_id: str, **members: Any) -> None:
    async def shown() -> Any:
        found = await running(operator, station_id)
        return {name: found.get(name) for name in members} == members

    await eventually(shown)


async def test_a_charger_that_tells_no_power_has_that_of_its_register(operator: Operator) -> None:
    station_id = await operator.station()
    session = begun(operator, station_id, wh=0)
    await handled(operator, session)

    async def read(*told: MeterSample) -> None:
        await operator.registry.publish(metered(operator, station_id, session.session_id, *told))

    await read(register(0, 0))
    await seen(operator, station_id, energy_wh=0, power_w=None)
    await read(register(100, 60))
    await seen(operator, station_id, energy_wh=100, power_w=6000)
    # A second later and a Wh more says nothing; the energy counts all the same.
    await read(register(101, 61))
    await seen(operator, station_id, energy_wh=101, power_w=6000)
    await read(register(150, 90))
    await seen(operator, station_id, energy_wh=150, power_w=6000)
    await read(register(150, 150))
    await seen(operator, station_id, energy_wh=150, power_w=0)
    # A register that runs backwards is believed for neither.
    await read(register(140, 200))
    await seen(operator, station_id, energy_wh=140, power_w=0)
    await read(power(3000, at_s=210))
    await seen(operator, station_id, energy_wh=140, power_w=3000)


async def test_readings_in_any_order_end_in_the_newest(operator: Operator) -> None:
    orders = list(itertools.permutations(range(3)))
    stations = [await operator.station() for _ in orders]
    sessions = [begun(operator, station_id) for station_id in stations]
    await handled(operator, *sessions)
    for order, station_id, session in zip(orders, stations, sessions, strict=True):
        for n in (*order, order[0]):
            told = (power(n * 100, at_s=n * 60), register(1000 + n, n * 60))
            await operator.registry.publish(
                metered(operator, station_id, session.session_id, *told)
            )
    for station_id in stations:
        await seen(operator, station_id, power_w=200, energy_wh=2)


async def test_statuses_are_listed_by_group_with_those_in_it(operator: Operator) -> None:
    inner, outer, other = [await operator.station() for _ in range(3)]
    groups = []
    for name, station_id in (("Inner", inner), ("Outer", outer)):
        made = await operator.http.post("/v1/station-groups", json={"name": name})
        groups.append(made.json()["id"])
        path = f"/v1/station-groups/{groups[-1]}/stations"
        await operator.http.post(path, json={"station_ids": [station_id]})
    await operator.http.put(f"/v1/station-groups/{groups[1]}/groups/{groups[0]}")

    async def listed(group_id: Any) -> set[str]:
        page = await operator.http.get("/v1/statuses", params={"group_id": group_id})
        return {one["station_id"] for one in page.json()["items"]}

    assert await listed(groups[0]) == {inner}
    assert await listed(groups[1]) == {inner, outer}
    assert await listed(uuid7()) == set()
    assert other not in await listed(groups[1])
