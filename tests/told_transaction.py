"""A transaction of OCPP 2.x as a station tells of it: one id, numbers that count up, readings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from gateway_commands import Staffed, staffed
from gateway_wire import Gateway, Wire, kinds, stamp

from common.events import MeterReport, MeterValuesReported, SessionEnded

CONNECTED, CHARGING, IDLE = "EVConnected", "Charging", "Idle"
BEGIN, END = "Transaction.Begin", "Transaction.End"
ACCEPTED = {"idTokenInfo": {"status": "Accepted"}}


class ToldTransaction:
    """Events of one transaction of a station, in turn."""

    def __init__(self, wire: Wire, evse_id: int = 1) -> None:
        self.wire = wire
        self.id = str(uuid4())
        self.evse = {"id": evse_id, "connectorId": 1}
        self.seq_no = 0  # of the next

    async def _event(self, kind: str, trigger: str, state: str, **more: Any) -> dict[str, Any]:
        """As Wire.event has it, and `reason`; what is refused is no answer."""
        info = {"chargingState": state} if state else {}
        if reason := more.pop("reason", ""):
            info["stoppedReason"] = reason
        seq_no, self.seq_no = self.seq_no, self.seq_no + 1
        answer = await self.wire.event(
            kind, seq_no, trigger, transaction=self.id, info=info, **more
        )
        assert isinstance(answer, dict), answer
        return answer

    async def started(self, trigger: str, state: str = "", **more: Any) -> dict[str, Any]:
        """With its EVSE, unless that is None."""
        given = {"evse": self.evse} | more
        if given["evse"] is None:
            del given["evse"]
        return await self._event("Started", trigger, state, **given)

    async def updated(self, trigger: str, state: str = "", **more: Any) -> dict[str, Any]:
        return await self._event("Updated", trigger, state, **more)

    async def ended(self, trigger: str, state: str = "", **more: Any) -> dict[str, Any]:
        return await self._event("Ended", trigger, state, **more)


@asynccontextmanager
async def charging(
    gateway: Gateway, version: str, ago_s: float = 0
) -> AsyncIterator[tuple[Staffed, ToldTransaction]]:
    """A station with a car that charges, begun so long ago, its meter at 1000 Wh."""
    async with staffed(gateway, version) as staff:
        told = ToldTransaction(staff.wire)
        begun = {"timestamp": stamp(ago_s)}
        first = [meter({"value": 1000, "context": BEGIN}, ago_s=ago_s)]
        assert await told.started("CablePluggedIn", CONNECTED, meterValue=first, **begun) == {}
        assert await told.updated("Authorized", CONNECTED, token="GOOD", **begun) == ACCEPTED
        assert await told.updated("ChargingStateChanged", CHARGING, **begun) == {}
        yield staff, told


def meter(*sampled: dict[str, Any], ago_s: float = 0) -> dict[str, Any]:
    """A MeterValue of so long ago."""
    return {"timestamp": stamp(ago_s), "sampledValue": list(sampled)}


async def authorized(wire: Wire, id_token: str = "GOOD") -> Any:
    """What Authorize says of a card."""
    card = {"idToken": id_token, "type": "ISO14443"}
    return await wire.send("Authorize", {"idToken": card})


async def connector(wire: Wire, status: str, evse_id: int = 1) -> None:
    """A connector's state, in both ways that 2.x has to tell it."""
    where = {"evseId": evse_id, "connectorId": 1}
    told = {"timestamp": stamp(), "connectorStatus": status, **where}
    assert await wire.send("StatusNotification", told) == {}
    event = {
        "eventId": 1, "timestamp": stamp(), "trigger": "Delta", "actualValue": status,
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": "Connector", "evse": {"id": evse_id, "connectorId": 1}},
        "variable": {"name": "AvailabilityState"},
    }  # fmt: skip
    payload = {"generatedAt": stamp(), "seqNo": 0, "eventData": [event]}
    assert await wire.send("NotifyEvent", payload) == {}


async def metered(gateway: Gateway, station_id: str, count: int = 1) -> list[MeterReport]:
    """What was told of a station's readings, once there are so many reports."""
    found: list[MeterReport] = await gateway.reported(MeterValuesReported, station_id, count)
    return found


async def row_of(gateway: Gateway, told: ToldTransaction, station_id: str) -> dict[str, Any]:
    """The transaction as staff sees it."""
    rows = await gateway.transactions(station_id=station_id)
    (row,) = (one for one in rows if one["ocpp_id"] == told.id)
    return row


async def state_of(
    gateway: Gateway, told: ToldTransaction, station_id: str
) -> tuple[str, str | None]:
    """Whether it is open, and its charging state."""
    row = await row_of(gateway, told, station_id)
    return row["state"], row["charging_state"]


async def over(
    gateway: Gateway, told: ToldTransaction, station_id: str, odd: tuple[str, ...] = ()
) -> SessionEnded:
    """The session as it was told at its end, once, and as staff sees it; odd: its incidents."""
    (ended,) = await gateway.told(SessionEnded, station_id=station_id, transaction_id=told.id)
    assert isinstance(ended, SessionEnded)
    row = await row_of(gateway, told, station_id)
    assert (row["state"], row["session_id"]) == ("ended", str(ended.session_id))
    assert (row["stop_reason"], row["energy_wh"]) == (ended.stop_reason, ended.energy_wh)
    assert kinds(ended) == list(odd)
    return ended
