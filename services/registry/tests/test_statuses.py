import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from stack import eventually

from common.bus import EVENTS_STREAM
from common.clock import now
from common.events import (
    BootReport,
    BootsReported,
    ConnectionReport,
    ConnectionsReported,
    Event,
    GatewayBeat,
    SessionEnded,
    SessionStarted,
    StatusesReported,
    StatusReport,
)
from common.ids import uuid7
from services.registry.tests.conftest import Operator

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def parsed(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


async def handled(operator: Operator, *events: Event) -> None:
    """Publish, and wait until registry has handled all of them: a marker's effect comes last."""
    await operator.registry.publish(*events)
    marker = await operator.station(id=f"marker-{uuid7().hex[-12:]}")
    boot = BootsReported(
        reports=(
            BootReport(
                operator_id=operator.id,
                station_id=marker,
                generation=1,
                vendor="marker",
                model="m",
                serial_number=None,
                firmware_version=None,
                at=now(),
            ),
        )
    )
    await operator.registry.publish(boot)

    async def seen() -> Any:
        return (await operator.status(marker))["boot"]

    await eventually(seen)
    stream = operator.registry.app.state.parts.stream

    async def nothing_comes_again() -> bool:  # as what met another transaction does, a second later
        known = await stream.consumer_info(EVENTS_STREAM, "registry")
        return bool(known.num_pending == known.num_ack_pending == 0)

    await eventually(nothing_comes_again)


def connection(
    operator: Operator,
    station_id: str,
    generation: int,
    *,
    connected: bool,
    replica: UUID,
    at: datetime | None = None,
) -> ConnectionsReported:
    return ConnectionsReported(
        reports=(
            ConnectionReport(
                operator_id=operator.id,
                station_id=station_id,
                generation=generation,
                replica=replica,
                connected=connected,
                protocol="ocpp1.6",
                at=at or now(),
            ),
        )
    )


def report(
    operator: Operator,
    station_id: str,
    status: str,
    at: datetime,
    *,
    generation: int = 1,
    evse_id: int = 1,
    connector_id: int = 1,
    **more: Any,
) -> StatusReport:
    return StatusReport.model_validate(
        {
            "operator_id": operator.id,
            "station_id": station_id,
            "generation": generation,
            "evse_id": evse_id,
            "connector_id": connector_id,
            "status": status,
            "reported_at": at,
            "received_at": at + s(1),
            **more,
        }
    )


def batch(*reports: StatusReport) -> StatusesReported:
    return StatusesReported(reports=reports)


async def connector(operator: Operator, station_id: str, evse_id: int = 1) -> dict[str, Any]:
    evses = (await operator.status(station_id))["evses"]
    [evse] = [evse for evse in evses if evse["evse_id"] == evse_id]
    told: dict[str, Any] = evse["connectors"][0]
    return told


async def test_a_station_nobody_heard_of_is_offline_with_unknown_statuses(
    operator: Operator,
) -> None:
    status = await operator.status(await operator.station())
    assert status["online"] is False
    assert status["since"] is status["last_seen"] is status["boot"] is status["station"] is None
    [evse] = status["evses"]
    assert evse["session"] is None
    assert evse["connectors"][0]["status"] is None


async def test_events_make_a_station_online_and_show_what_it_said(operator: Operator) -> None:
    station_id, replica = await operator.station(), uuid7()
    boot = BootsReported(
        reports=(
            BootReport(
                operator_id=operator.id,
                station_id=station_id,
                generation=4,
                vendor="ABB\0",
                model="Terra",
                serial_number="17",
                firmware_version=None,
                at=now(),
            ),
        )
    )
    faulted = report(
        operator,
        station_id,
        "faulted",
        NOON,
        generation=4,
        error_code="GroundFailure",
        vendor_error_code="E17",
        info="wet\0",
    )
    whole = report(operator, station_id, "available", NOON, evse_id=0, connector_id=0)
    opened = now() - s(5)
    await handled(
        operator,
        boot,
        batch(faulted, whole),
        connection(operator, station_id, 4, connected=True, replica=replica, at=opened),
        GatewayBeat(replica=replica),
    )
    status = await operator.status(station_id)
    assert status["online"] is True
    assert parsed(status["since"]) == opened
    assert (status["generation"], status["protocol"]) == (4, "ocpp1.6")
    assert status["boot"] | {"booted_at": None} == {
        "vendor": "ABB",
        "model": "Terra",
        "serial_number": "17",
        "firmware_version": None,
        "booted_at": None,
    }
    assert status["station"]["status"] == "available"
    [evse] = status["evses"]
    [told] = evse["connectors"]
    assert (told["status"], told["error_code"]) == ("faulted", "GroundFailure")
    assert (told["vendor_error_code"], told["info"]) == ("E17", "wet")
    assert parsed(told["since"]) == parsed(told["reported_at"]) == NOON
    assert parsed(told["received_at"]) == NOON + s(1)


async def test_stations_of_a_gateway_that_stopped_beating_are_offline(operator: Operator) -> None:
    station_id, replica = await operator.station(), uuid7()
    last_beat = now() - s(46)
    await handled(
        operator,
        batch(report(operator, station_id, "charging", NOON)),
        connection(operator, station_id, 1, connected=True, replica=replica, at=now() - s(300)),
        GatewayBeat(replica=replica, occurred_at=last_beat),
        GatewayBeat(replica=replica, occurred_at=last_beat - s(30)),  # late, and older
    )
    status = await operator.status(station_id)
    assert status["online"] is False
    assert parsed(status["since"]) == parsed(status["last_seen"]) == last_beat
    assert status["evses"][0]["connectors"][0]["status"] == "charging", "the last that was known"

    async def listed(online: bool) -> list[str]:
        params: dict[str, Any] = {"online": online, "station_id": station_id}
        page = (await operator.http.get("/v1/statuses", params=params)).json()
        return [one["station_id"] for one in page["items"]]

    assert (await listed(False), await listed(True)) == ([station_id], [])
    await handled(operator, GatewayBeat(replica=replica))
    assert (await operator.status(station_id))["online"] is True
    assert (await listed(False), await listed(True)) == ([], [station_id])


async def test_the_newest_socket_wins_whatever_the_order_of_the_news(operator: Operator) -> None:
    replica = uuid7()

    def told(station_id: str, generation: int, *, connected: bool) -> Event:
        return connection(operator, station_id, generation, connected=connected, replica=replica)

    late_close, close_first, repeated, reopened = [await operator.station() for _ in range(4)]
    again = told(repeated, 1, connected=True)
    await handled(
        operator,
        GatewayBeat(replica=replica),
        told(late_close, 1, connected=True),
        told(late_close, 2, connected=True),
        told(late_close, 1, connected=False),
        told(close_first, 1, connected=False),
        told(close_first, 1, connected=True),
        again,
        told(repeated, 1, connected=False),
        again.model_copy(update={"id": uuid7()}),
        told(reopened, 1, connected=False),
        told(reopened, 2, connected=True),
    )
    found = {one: await operator.status(one) for one in (late_close, close_first, repeated)}
    assert [one["online"] for one in found.values()] == [True, False, False]
    assert found[late_close]["generation"] == 2
    assert (await operator.status(reopened))["online"] is True


async def test_old_news_of_a_connector_changes_nothing(operator: Operator) -> None:
    station_id = await operator.station()
    await handled(operator, batch(report(operator, station_id, "charging", NOON, generation=2)))
    await handled(
        operator,
        batch(report(operator, station_id, "faulted", NOON + s(60), generation=1)),
        batch(report(operator, station_id, "available", NOON - s(60), generation=2)),
    )
    assert (await connector(operator, station_id))["status"] == "charging"
    newer = report(operator, station_id, "available", NOON - s(600), generation=3)
    await handled(operator, batch(newer))
    assert (await connector(operator, station_id))["status"] == "available"


async def test_since_is_when_the_status_changed_not_when_it_was_repeated(
    operator: Operator,
) -> None:
    station_id = await operator.station()

    async def since(*reports: StatusReport) -> float:
        await handled(operator, batch(*reports))
        moment = parsed((await connector(operator, station_id))["since"])
        return (moment - NOON).total_seconds()

    def told(status: str, at_s: float, generation: int = 1) -> StatusReport:
        return report(operator, station_id, status, NOON + s(at_s), generation=generation)

    assert await since(told("available", 0)) == 0
    assert await since(told("available", 10), told("available", 20, generation=2)) == 0
    assert await since(told("charging", 30, 2), told("charging", 40, 2)) == 30
    # There and back within one batch: a change all the same.
    assert await since(told("finishing", 50, 2), told("charging", 60, 2)) == 60


async def test_a_batch_of_500_of_two_operators_and_of_nobody_is_stored_at_once(
    operator: Operator, stranger: Operator
) -> None:
    mine, theirs = await operator.station(), await stranger.station()
    told = [report(operator, mine, "available", NOON, evse_id=n) for n in range(1, 301)]
    told += [report(stranger, theirs, "charging", NOON, evse_id=n) for n in range(1, 181)]
    told += [report(operator, f"gone-{n}", "faulted", NOON) for n in range(10)]
    # What no operator's gateway would say: another's station, and a connector that cannot be.
    told += [report(stranger, mine, "faulted", NOON + s(9), evse_id=n) for n in range(1, 10)]
    told += [report(operator, mine, "faulted", NOON, evse_id=2**40)]
    assert len(told) == 500
    await handled(operator, batch(*told))
    for one, station_id, count, status in (
        (operator, mine, 300, "available"),
        (stranger, theirs, 180, "charging"),
    ):
        evses = (await one.status(station_id))["evses"]
        assert len(evses) == count
        assert {evse["connectors"][0]["status"] for evse in evses} == {status}


async def test_statuses_are_filtered_by_place_station_and_status(operator: Operator) -> None:
    address = {"street": "A", "postal_code": "1", "city": "B", "country": "DE"}
    place = await operator.http.post("/v1/locations", json={"name": "P", "address": address})
    there = await operator.station(location_id=place.json()["id"])
    broken, free = await operator.station(), await operator.station(active=False)
    await handled(
        operator,
        batch(
            report(operator, there, "charging", NOON),
            # As a whole it works, but nobody can charge: it is not among the available.
            report(operator, there, "available", NOON, evse_id=0, connector_id=0),
            report(operator, broken, "faulted", NOON, evse_id=0, connector_id=0),
            report(operator, free, "available", NOON),
        ),
    )

    async def listed(**params: Any) -> list[str]:
        page = (await operator.http.get("/v1/statuses", params=params)).json()
        return [one["station_id"] for one in page["items"]]

    assert await listed(location_id=place.json()["id"]) == [there]
    assert await listed(station_id=broken) == [broken]
    assert await listed(status="charging") == [there]
    assert await listed(status="faulted") == [broken]
    assert await listed(status="available") == [free]
    assert await listed(status="available", active=True) == []
    bad = await operator.http.get("/v1/statuses", params={"status": "happy"})
    assert bad.status_code == 422


def started(
    operator: Operator, station_id: str, session_id: UUID, at: datetime, evse_id: int = 1
) -> SessionStarted:
    return SessionStarted(
        operator_id=operator.id,
        session_id=session_id,
        transaction_id="7",
        station_id=station_id,
        evse_id=evse_id,
        connector_id=1,
        id_token="04A2",
        card_id=None,
        user_id=None,
        token_status="Accepted",
        started_at=at,
        meter_start_wh=0,
    )


def ended(start: SessionStarted) -> SessionEnded:
    return SessionEnded(
        **start.model_dump(exclude={"id", "occurred_at"}),
        ended_at=start.started_at + s(3600),
        meter_stop_wh=1,
        energy_wh=1,
        stop_reason=None,
    )


async def test_a_running_session_is_shown_until_it_ends_whatever_the_order(
    operator: Operator,
) -> None:
    station_id = await operator.station(evses=[{"evse_id": 1}, {"evse_id": 2}])
    one = started(operator, station_id, uuid7(), NOON)
    lost = started(operator, station_id, uuid7(), NOON, evse_id=2)

    async def running() -> list[str | None]:
        evses = (await operator.status(station_id))["evses"]
        return [evse["session"] and evse["session"]["session_id"] for evse in evses]

    await handled(operator, one, lost)
    assert await running() == [str(one.session_id), str(lost.session_id)]
    next_one = started(operator, station_id, uuid7(), NOON + s(4000))
    # The end of the next outruns its start and the end of the one before.
    await handled(operator, ended(next_one), ended(one), next_one)
    assert await running() == [None, str(lost.session_id)]
    # A session whose end never came does not reappear behind a later one.
    after = started(operator, station_id, uuid7(), NOON + s(9000), evse_id=2)
    await handled(operator, after, ended(after))
    assert await running() == [None, None]


async def test_concurrent_batches_of_one_connector_end_in_the_newest(operator: Operator) -> None:
    station_id = await operator.station()
    told = [report(operator, station_id, "charging", NOON + s(n)) for n in range(40)]
    told.append(report(operator, station_id, "available", NOON + s(99)))
    told.reverse()
    await asyncio.gather(*(operator.registry.publish(batch(one)) for one in told))
    await handled(operator)
    assert (await connector(operator, station_id))["status"] == "available"
