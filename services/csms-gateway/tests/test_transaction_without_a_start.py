"""OCPP 2.x stations whose first event is no Started and has the number 1."""

from typing import Any
from uuid import uuid4

from gateway_wire import EVSE, Gateway, Wire, connect_v2, kinds, stamp

from common.events import IncidentOpened, SessionEnded, SessionStarted
from csms_gateway.tables import Command, Transaction, TransactionEvent


def begin(wh: int) -> dict[str, Any]:
    sampled = {"value": wh, "context": "Transaction.Begin"}
    return {"meterValue": [{"timestamp": stamp(60), "sampledValue": [sampled]}]}


async def begun(wire: Wire, transaction: str, **first: Any) -> None:
    await wire.event(
        "Updated", 1, "CablePluggedIn", transaction=transaction, evse=EVSE, timestamp=stamp(60),
        **first,
    )  # fmt: skip
    await wire.event("Updated", 2, "Authorized", transaction=transaction, token="GOOD", evse=EVSE)


async def test_TC_I_02_an_end_waits_for_no_event_that_its_station_never_had(
    gateway: Gateway,
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await begun(wire, transaction, **begin(1000))
        await wire.event("Ended", 3, "EVCommunicationLost", transaction=transaction, wh=1500)
        (over,) = await gateway.told(SessionEnded, station_id=station)
        assert (over.energy_wh, over.id_token, kinds(over)) == (500, "GOOD", ["missing_events"])
        assert over.incidents[0].detail == "events 0 of the station never came"
        assert await gateway.rows(Command, station) == [], "nothing is asked about"

        # It comes after all: kept, looked at by somebody, and still one session.
        await wire.event(
            "Started", 0, "CablePluggedIn", transaction=transaction, evse=EVSE, wh=900,
            timestamp=stamp(120),
        )  # fmt: skip
    (late,) = await gateway.told(IncidentOpened, station_id=station)
    assert (late.session_id, late.incident.kind) == (over.session_id, "delivered_late")
    (row,) = await gateway.rows(Transaction, station)
    assert (row.start_seen, row.session_id) == (True, over.session_id)
    # What was told as ended stays; whoever reviews it has the event.
    assert (row.meter_start_wh, row.energy_wh) == (1000, 500)
    assert sorted(e.seq_no for e in await gateway.rows(TransactionEvent, station)) == [0, 1, 2, 3]
    assert len(gateway.of(SessionEnded, station_id=station)) == 1
    assert len(gateway.of(SessionStarted, station_id=station)) == 1


async def test_E04_FR06_an_end_waits_while_its_start_may_still_be_in_the_queue(
    gateway: Gateway,
) -> None:
    """What makes the bill is missing, or the numbers came in no order: the 0 may come yet."""
    station = await gateway.add_station()
    without_register, without_driver, disorder, alone = (str(uuid4()) for _ in range(4))
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await begun(wire, without_register)
        await wire.event("Ended", 3, "EVDeparted", transaction=without_register, wh=1500)
        for seq_no, kind in ((1, "Updated"), (2, "Ended")):
            await wire.event(
                kind, seq_no, "CablePluggedIn", transaction=without_driver, evse=EVSE, **begin(1000)
            )
        await wire.event("Updated", 2, "Authorized", transaction=disorder, token="GOOD", evse=EVSE)
        await wire.event(
            "Updated", 1, "CablePluggedIn", transaction=disorder, evse=EVSE, **begin(1000)
        )
        await wire.event("Ended", 3, "EVDeparted", transaction=disorder, wh=1500)
        await wire.event(
            "Ended", 1, "EVDeparted", transaction=alone, token="GOOD", evse=EVSE, **begin(1000)
        )
        assert gateway.of(SessionEnded, station_id=station) == []
        await wire.event(
            "Started", 0, "CablePluggedIn", transaction=disorder, evse=EVSE, wh=900,
            timestamp=stamp(120), offline=True,
        )  # fmt: skip
        (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.transaction_id, kinds(over)) == (disorder, [])
    asked = await gateway.rows(Command, station)
    assert {one.type for one in asked} == {"get_transaction_status"}
