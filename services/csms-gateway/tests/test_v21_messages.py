"""What OCPP 2.1 adds: each call answered as it is, and kept."""

import json
from importlib import resources
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import EVSE, OPERATOR, V21, Gateway, Wire, accepted, connect_v2, kinds, stamp
from stack import eventually

from common.events import SessionEnded
from csms_gateway.tables import (
    DynamicSchedule,
    EventStream,
    Notification,
    TransactionEvent,
    UnmatchedMessage,
)
from csms_gateway.versions import VERSIONS

BY_FORMAT = {"date-time": stamp(), "uri": "https://example.org"}


def least(member: dict[str, Any], schema: dict[str, Any]) -> Any:
    """The least that is valid by a schema."""
    if "$ref" in member:
        return least(schema["definitions"][member["$ref"].rpartition("/")[2]], schema)
    if "enum" in member:
        return member["enum"][0]
    kind = member["type"]
    if kind == "object":
        names = member.get("required", ())
        return {name: least(member["properties"][name], schema) for name in names}
    if kind == "array":
        return [least(member["items"], schema)] * member.get("minItems", 0)
    if kind == "string":
        return BY_FORMAT.get(member.get("format", ""), "x")
    return {"integer": 1, "number": 1.5, "boolean": True}[kind]


def least_call(version: str, action: str) -> dict[str, Any]:
    folder = resources.files("ocpp") / version / "schemas"
    for name in (f"{action}Request.json", f"{action}.json"):
        if (folder / name).is_file():
            schema = json.loads((folder / name).read_text("utf-8-sig"))
            found: dict[str, Any] = least(schema, schema)
            return found
    raise AssertionError(action)


@pytest.mark.parametrize("version", ["ocpp2.0.1", V21])
async def test_R6_the_least_valid_call_of_each_action_is_answered(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    spoken = VERSIONS[version]
    refused = {}
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        for action in sorted(spoken.actions):
            answer = await wire.send(action, least_call(spoken.schemas, action))
            if not isinstance(answer, dict):
                refused[action] = answer
    assert not refused


@pytest.mark.parametrize(
    "action",
    [
        "BatterySwap", "NotifyDERAlarm", "NotifyDERStartStop", "NotifyPriorityCharging",
        "NotifySettlement", "ReportDERControl",
    ],
)  # fmt: skip
async def test_C21_K22_R05_S03_what_is_only_told_is_kept_whole(
    gateway: Gateway, action: str
) -> None:
    station = await gateway.add_station()
    payload = least_call("v21", action)
    async with connect_v2(gateway, station, V21) as socket:
        assert await Wire(socket).send(action, payload) == {}
    (kept,) = await gateway.rows(Notification, station)
    assert (kept.action, kept.payload) == (action, payload)
    assert kept.request_id == payload.get("requestId")


async def test_a_station_of_2_0_1_does_not_have_them(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with connect_v2(gateway, station) as socket:
        answer = await Wire(socket).send("BatterySwap", least_call("v21", "BatterySwap"))
    assert answer[0] == "NotImplemented"


async def test_C18_FR_10_a_vat_number_that_nobody_checks_is_not_accepted(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with connect_v2(gateway, station, V21) as socket:
        payload = {"vatNumber": "DE123456788", "evseId": 2}
        answer = await Wire(socket).send("VatNumberValidation", payload)
    assert answer | {"statusInfo": None} == payload | {"status": "Rejected", "statusInfo": None}
    assert "no service" in answer["statusInfo"]["additionalInfo"]


async def test_N11_FR_04_N13_N15_a_stream_s_values_are_kept_with_the_monitor_they_are_of(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with connect_v2(gateway, station, V21) as socket:
        wire = Wire(socket)
        stream = {"id": 7, "variableMonitoringId": 42, "params": {"interval": 10, "values": 2}}
        opened = await wire.send("OpenPeriodicEventStream", {"constantStreamData": stream})
        assert opened == {"status": "Accepted"}
        data = [{"t": 0, "v": "230.1"}, {"t": 5.5, "v": "229.8"}]
        values = {"id": 7, "pending": 0, "basetime": stamp(), "data": data}
        await socket.send(json.dumps([6, "s1", "NotifyPeriodicEventStream", values]))

        async def kept() -> list[Any]:
            rows = await gateway.rows(Notification, station)
            return [one for one in rows if one.action == "NotifyPeriodicEventStream"]

        (row,) = await eventually(kept)
        assert row.payload == values | {"variableMonitoringId": 42}
        # A SEND has no answer: the next frame is that of the next call.
        assert await wire.send("ClosePeriodicEventStream", {"id": 7}) == {}
    (ended,) = await gateway.rows(EventStream, station)
    assert ended.closed_at


async def test_K28_FR_07_a_station_gets_the_last_limits_that_it_took(gateway: Gateway) -> None:
    station = await gateway.add_station()
    pull = {"chargingProfileId": 5}
    async with connect_v2(gateway, station, V21) as socket:
        wire = Wire(socket)
        answer = await wire.send("PullDynamicScheduleUpdate", pull)
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == (
            "Rejected", "InvalidProfile",
        )  # fmt: skip
        period = {"startPeriod": 0, "limit": 16.0, "numberPhases": 3}
        schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
        profile = {
            "id": 5, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Dynamic", "chargingSchedule": [schedule],
        }  # fmt: skip
        call = {
            "action": "SetChargingProfile",
            "payload": {"evseId": 1, "chargingProfile": profile},
        }
        await accepted(gateway, socket, station, {"ocpp": call})
        await eventually(lambda: gateway.rows(DynamicSchedule, station))
        answer = await wire.send("PullDynamicScheduleUpdate", pull)
        assert answer == {"status": "Accepted", "scheduleUpdate": {"limit": 16.0}}
        update = {
            "type": "update_dynamic_schedule", "charging_profile_id": 5,
            "schedule_update": {"limit": 10.0, "setpoint": -5.5},
        }  # fmt: skip
        await accepted(gateway, socket, station, update)

        async def newest() -> Any:
            answer = await wire.send("PullDynamicScheduleUpdate", pull)
            return answer["scheduleUpdate"] == {"limit": 10.0, "setpoint": -5.5}

        await eventually(newest)
        # K10: cleared by what it is, it is gone as if by its id; another stack level is another.
        for stack_level, left in ((3, "Accepted"), (0, "Rejected")):
            clear = {"type": "clear_charging_profile", "evse_id": 1, "stack_level": stack_level}
            await accepted(gateway, socket, station, clear)

            async def cleared(left: str = left) -> bool:
                answer = await wire.send("PullDynamicScheduleUpdate", pull)
                return bool(answer["status"] == left)

            await eventually(cleared)


async def test_E16_and_I12_what_a_station_tells_of_limits_and_cost_is_kept(
    gateway: Gateway,
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    cost = {
        "totalCost": {
            "currency": "EUR", "typeOfCost": "NormalCost", "total": {"exclTax": 4.12},
        },
        "totalUsage": {"energy": 10.0, "chargingTime": 3600, "idleTime": 0},
    }  # fmt: skip
    async with connect_v2(gateway, station, V21) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=0,
            info={"tariffId": "T-1", "operationMode": "ChargingOnly"},
        )  # fmt: skip
        await wire.event(
            "Updated", 1, "LimitSet", transaction=transaction, evseSleep=True,
            info={"transactionLimit": {"maxCost": 20.0}}, preconditioningStatus="Ready",
        )  # fmt: skip
        for seq_no, trigger in ((2, "TariffChanged"), (3, "RunningCost"), (4, "TxResumed")):
            await wire.event("Updated", seq_no, trigger, transaction=transaction)
        await wire.event(
            "Ended", 5, "CostLimitReached", transaction=transaction, wh=900, costDetails=cost,
            info={"stoppedReason": "ReqEnergyTransferRejected"},
        )  # fmt: skip
    (row,) = await gateway.transactions(station_id=station)
    assert row["details"] == {
        "tariffId": "T-1", "operationMode": "ChargingOnly", "evseSleep": True,
        "transactionLimit": {"maxCost": 20.0}, "preconditioningStatus": "Ready",
        "costDetails": cost,
    }  # fmt: skip
    async with gateway.service.as_(OPERATOR, "sessions:read") as api:
        path = f"/v1/transactions/{row['id']}/events"
        page = (await api.get(path, params={"limit": 2})).json()
        assert [one["seq_no"] for one in page["items"]] == [5, 4]
        assert page["items"][0]["payload"]["costDetails"] == cost
        rest = (await api.get(path, params={"cursor": page["next_cursor"]})).json()
        assert [one["seq_no"] for one in rest["items"]] == [3, 2, 1, 0]
        assert (await api.get("/v1/transactions/2147483647/events")).status_code == 404
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.energy_wh, over.stop_reason, kinds(over)) == (
        900, "ReqEnergyTransferRejected", [],
    )  # fmt: skip
    assert len(await gateway.rows(TransactionEvent, station)) == 6


async def test_a_refused_answer_of_ours_is_no_answer_to_a_call(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with connect_v2(gateway, station, V21) as socket:
        await socket.send(json.dumps([5, "m0", "FormatViolation", "cannot read it", {}]))
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})


async def test_R3_a_settlement_that_cannot_be_worked_with_is_refused_and_kept(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    payload = {"settlementAmount": 12.5, "status": "Settled"}
    async with connect_v2(gateway, station, V21) as socket:
        answer = await Wire(socket).send("NotifySettlement", payload)
    assert answer[0] == "OccurrenceConstraintViolation"
    (kept,) = await gateway.rows(UnmatchedMessage, station)
    assert (kept.action, kept.payload) == ("NotifySettlement", payload)
