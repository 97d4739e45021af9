"""Uptime by REST, of what chargers and gateways told."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from common.clock import now
from common.database import PLATFORM
from common.events import Event, GatewayBeat
from common.ids import uuid7
from registry.live import silence
from services.registry.tests.conftest import Operator
from services.registry.tests.test_statuses import batch, connection, handled, parsed, report, s

HOUR = timedelta(hours=1)
# October 2026 in Berlin, in which the clock is set back.
BEGIN = datetime(2026, 9, 30, 22, tzinfo=UTC)
MONTH_H = 745


def of_october(operator: Operator, station_id: str) -> list[Event]:
    """Connected 10 hours into it; offline 20 to 22, faulted 30 to 33, switched off 40 to 44."""
    replica = uuid7()

    def socket(generation: int, at_h: float, *, connected: bool) -> Event:
        return connection(
            operator, station_id, generation, connected=connected, replica=replica,
            at=BEGIN + at_h * HOUR,
        )  # fmt: skip

    def said(status: str, at_h: float, **more: Any) -> Event:
        told = report(operator, station_id, status, BEGIN + at_h * HOUR - s(1), **more)
        return batch(told)

    return [
        socket(1, 10, connected=True),
        socket(1, 20, connected=False),
        socket(2, 22, connected=True),
        said("charging", 12),
        said("faulted", 30, generation=2, error_code="GroundFailure", vendor_error_code="E17"),
        said("available", 33, generation=2),
        said("unavailable", 40, generation=2, evse_id=0, connector_id=0),
        said("available", 44, generation=2, evse_id=0, connector_id=0),
        GatewayBeat(replica=replica),
        # It was taken over by a gateway that beats; the next month is another matter.
        socket(3, 800, connected=True),
        socket(3, 801, connected=False),
    ]


async def uptime(operator: Operator, station_id: str, month: str = "2026-10") -> dict[str, Any]:
    answer = await operator.http.get(f"/v1/stations/{station_id}/uptime", params={"month": month})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def hours(downtime: dict[str, Any]) -> tuple[float, float]:
    return tuple((parsed(downtime[end]) - BEGIN) / HOUR for end in ("begin", "end"))  # type: ignore[return-value]


async def test_a_months_uptime_tells_what_was_down_and_why(operator: Operator) -> None:
    station_id = await operator.station()
    await handled(operator, *of_october(operator, station_id))
    found = await uptime(operator, station_id)
    assert (found["time_zone"], found["month"]) == ("Europe/Berlin", "2026-10")
    assert parsed(found["begin"]) == BEGIN + 10 * HOUR, "in service since then"
    assert parsed(found["end"]) == BEGIN + MONTH_H * HOUR
    assert found["counted_s"] == (MONTH_H - 10) * 3600
    assert found["online_s"] == (MONTH_H - 12) * 3600
    assert found["uptime"] == round((MONTH_H - 12) / (MONTH_H - 10), 6)
    [connector] = found["connectors"]
    assert connector == {
        "evse_id": 1, "connector_id": 1, "offline_s": 2 * 3600, "faulted_s": 3 * 3600,
        "unavailable_s": 4 * 3600, "available_s": (MONTH_H - 19) * 3600,
        "availability": round((MONTH_H - 19) / (MONTH_H - 10), 6),
    }  # fmt: skip
    assert [(one["reason"], one["evse_id"], *hours(one)) for one in found["downtimes"]] == [
        ("offline", None, 20, 22),
        ("faulted", 1, 30, 33),
        ("unavailable", 1, 40, 44),
    ]
    fault = found["downtimes"][1]
    assert (fault["error_code"], fault["vendor_error_code"]) == ("GroundFailure", "E17")
    assert found["downtimes_left_out"] == 0
    before = await uptime(operator, station_id, "2026-09")
    assert (before["counted_s"], before["uptime"], before["connectors"][0]["availability"]) == (
        0, None, None,
    )  # fmt: skip


async def test_news_late_and_twice_in_any_order_give_the_same_month(operator: Operator) -> None:
    first = await operator.station()
    await handled(operator, *of_october(operator, first))
    expected = await uptime(operator, first)
    for seed in range(5):
        station_id = await operator.station()
        told = of_october(operator, station_id)
        random.Random(seed).shuffle(told)
        for one in told:
            await operator.registry.publish(one)
        await handled(operator, *(one.model_copy(update={"id": uuid7()}) for one in told[:5]))
        found = await uptime(operator, station_id)
        assert found == expected | {"station_id": station_id}


async def test_a_dead_gateways_station_is_offline_since_the_last_beat(operator: Operator) -> None:
    station_id, replica = await operator.station(), uuid7()
    opened, last_beat = now() - timedelta(minutes=3), now() - timedelta(minutes=2)
    await handled(
        operator,
        connection(operator, station_id, 1, connected=True, replica=replica, at=opened),
        GatewayBeat(replica=replica, occurred_at=last_beat),
    )
    # A month may begin between the two, or since: the downtime begins in that of the last beat.
    month = f"{last_beat.astimezone(ZoneInfo('Europe/Berlin')):%Y-%m}"
    params = {"month": month}
    answer = await operator.http.get(f"/v1/stations/{station_id}/uptime", params=params)
    [down] = answer.json()["downtimes"]
    assert (down["reason"], parsed(down["begin"])) == ("offline", last_beat)
    await handled(operator, GatewayBeat(replica=replica))
    answer = await operator.http.get(f"/v1/stations/{station_id}/uptime", params=params)
    assert answer.json()["downtimes"] == []


async def test_what_is_swept_away_changes_no_month(operator: Operator) -> None:
    station_id, gone = await operator.station(), await operator.station()
    told = of_october(operator, station_id)
    repeats = [
        batch(*(report(operator, station_id, "charging", BEGIN + (12 + n / 10) * HOUR)
                for n in range(1, 20)))
    ]  # fmt: skip
    replica, last_beat = uuid7(), BEGIN + 90 * HOUR
    await handled(
        operator, *told, *repeats,
        connection(
            operator, gone, 1, connected=True, replica=replica, at=BEGIN + 60 * HOUR
        ),
        GatewayBeat(replica=replica, occurred_at=last_beat),
    )  # fmt: skip
    connections = operator.registry.app.state.connections

    async def kept() -> int:
        async with connections.begin(operator.id) as db:
            counted = text("select count(*) from connector_standing where station_id = :id")
            return int(await db.scalar(counted, {"id": station_id}) or 0)

    before = [await uptime(operator, one) for one in (station_id, gone)]
    rows = await kept()
    assert rows > 15
    async with connections.begin(PLATFORM) as db:
        until = {"since": BEGIN, "until": BEGIN + MONTH_H * HOUR}
        await db.execute(silence._REPEATED, until)
    await silence.sweep(connections)
    async with connections.begin(PLATFORM) as db:
        forget = text("delete from gateway_replica where replica = :replica")
        await db.execute(forget, {"replica": replica})
    assert await kept() == 5
    assert [await uptime(operator, one) for one in (station_id, gone)] == before
    assert before[1]["online_s"] == 30 * 3600


async def test_years_later_a_month_is_forgotten_but_not_how_a_connector_stands(
    operator: Operator,
) -> None:
    station_id = await operator.station()
    long_ago = now() - silence.KEPT_FOR - 48 * HOUR
    replica = uuid7()
    sockets = [
        connection(
            operator, station_id, 1, connected=connected, replica=replica, at=long_ago + n * HOUR
        )
        for n, connected in enumerate((True, False), 1)
    ]
    stands = [
        batch(report(operator, station_id, status, long_ago + n * HOUR))
        for n, status in enumerate(("available", "faulted"), 1)
    ]
    await handled(operator, *sockets, *stands)

    async def kept() -> list[int]:
        async with operator.registry.app.state.connections.begin(operator.id) as db:
            counts = [
                text(f"select count(*) from {table} where station_id = :id")
                for table in ("station_connection", "connector_standing")
            ]
            return [int(await db.scalar(one, {"id": station_id}) or 0) for one in counts]

    assert await kept() == [1, 2]
    await silence.sweep(operator.registry.app.state.connections)
    assert await kept() == [0, 1]


async def test_what_was_decommissioned_is_down_no_more(operator: Operator) -> None:
    station_id = await operator.station()
    await handled(operator, *of_october(operator, station_id))
    path = f"/v1/stations/{station_id}/decommission"
    body = {"reason": "sold", "at": (BEGIN + 60 * HOUR).isoformat()}
    done = await operator.http.post(path, json=body)
    assert done.status_code == 200, done.text
    month = await uptime(operator, station_id)
    assert parsed(month["end"]) == BEGIN + 60 * HOUR
    assert month["counted_s"] == (parsed(month["end"]) - parsed(month["begin"])).total_seconds()


async def test_uptimes_are_listed_and_exported_of_a_place_or_a_group(operator: Operator) -> None:
    address = {"street": "A", "postal_code": "1", "city": "B", "country": "DE"}
    body = {"name": "P", "address": address, "time_zone": "Asia/Kolkata"}
    place = (await operator.http.post("/v1/locations", json=body)).json()["id"]
    there, grouped = await operator.station(location_id=place), await operator.station()
    group = (await operator.http.post("/v1/station-groups", json={"name": "G"})).json()["id"]
    put_in = {"station_ids": [grouped]}
    await operator.http.post(f"/v1/station-groups/{group}/stations", json=put_in)
    await handled(operator, *of_october(operator, there), *of_october(operator, grouped))

    async def listed(**params: Any) -> list[dict[str, Any]]:
        params = {"month": "2026-10", **params}
        answer = await operator.http.get("/v1/uptimes", params=params)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    everything = await listed()
    assert [one["station_id"] for one in everything if "marker" not in one["station_id"]] == sorted(
        [there, grouped]
    )
    [one] = await listed(location_id=place)
    assert (one["station_id"], one["time_zone"]) == (there, "Asia/Kolkata")
    # The month begins three and a half hours sooner there, and ends four and a half.
    assert one["counted_s"] == (MONTH_H - 10) * 3600 - 4.5 * 3600
    [one] = await listed(group_id=group)
    assert one == {k: v for k, v in (await uptime(operator, grouped)).items() if k in one}
    params = {"month": "2026-10", "group_id": group}
    answer = await operator.http.get("/v1/uptimes/export", params=params)
    header, row = answer.text.removeprefix("\ufeff").splitlines()
    values = dict(zip(header.split(";"), row.split(";"), strict=True))
    assert (values["station_id"], values["evse_id"], values["faulted_s"]) == (grouped, "1", "10800")
    assert float(values["uptime"]) == one["uptime"]
    sheet = await operator.http.get("/v1/uptimes/export", params=params | {"format": "xlsx"})
    assert sheet.content[:2] == b"PK"
    for month in ("2026-13", "1026-01", "october", "2026-1"):
        bad = await operator.http.get("/v1/uptimes", params={"month": month})
        assert bad.status_code == 422
