"""Block I: the driver sees what it costs, while it runs and at its end."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from gateway_commands import staffed
from gateway_wire import EVSE, OPERATOR, V21, Gateway, Wire, accepted, connect_v2, running_gateway
from stack import Issuer, Servers, eventually

from common.clock import now
from common.events import (
    RecordClosed,
    RecordReviewed,
    SessionCostUpdated,
    SessionEnded,
    SessionStarted,
)
from csms_gateway.costs import Costs


def cost(station: str, session_id: UUID, gross: str, **more: Any) -> SessionCostUpdated:
    return SessionCostUpdated(
        operator_id=OPERATOR, session_id=session_id, station_id=station,
        total_gross=Decimal(gross), currency="EUR", **more,
    )  # fmt: skip


def record(station: str, session_id: UUID, gross: str, **more: Any) -> RecordClosed:
    return RecordClosed(
        operator_id=OPERATOR, record_id=uuid4(), session_id=session_id, station_id=station,
        evse_id=1, card_id=None, user_id=None, started_at=now(), ended_at=now(),
        time_zone="Europe/Berlin", energy_wh=800, currency="EUR", total_gross=Decimal(gross),
        total_net=Decimal(0), vat=Decimal(0), **more,
    )  # fmt: skip


async def tell(gateway: Gateway, event: SessionCostUpdated) -> None:
    """As billing does; no stream keeps it."""
    nats = gateway.service.app.state.parts.nats
    await nats.publish(event.subject, event.model_dump_json().encode())
    await nats.flush()


async def started(gateway: Gateway, wire: Wire, station: str, transaction: str) -> UUID:
    await wire.event(
        "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=1000
    )
    (told,) = await gateway.told(SessionStarted, station_id=station)
    session_id: UUID = told.session_id
    return session_id


@pytest.mark.parametrize("version", ["ocpp2.0.1", V21])
async def test_TC_I_01_each_update_is_answered_with_the_running_cost(
    gateway: Gateway, version: str
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        session_id = await started(gateway, wire, station, transaction)
        seq_no = 0

        async def answer() -> Any:
            nonlocal seq_no
            seq_no += 1
            return await wire.event(
                "Updated", seq_no, "MeterValuePeriodic", transaction=transaction, wh=1000 + seq_no
            )

        assert await answer() == {}, "not known is not free"
        for gross in ("0.00", "4.12"):
            await tell(gateway, cost(station, session_id, gross))

            async def shown(gross: str = gross) -> bool:
                return bool(await answer() == {"totalCost": float(gross)})

            await eventually(shown)
        # Told late by another replica: the newest counts.
        old = cost(station, session_id, "1.00", occurred_at="2026-01-01T00:00:00Z")
        await tell(gateway, old)
        await asyncio.sleep(0.2)
        assert await answer() == {"totalCost": 4.12}


async def test_TC_I_02_the_end_is_answered_with_the_final_cost_that_billing_is_about_to_tell(
    servers: Servers, issuer: Issuer
) -> None:
    async with running_gateway(servers, issuer, final_cost_wait_s=9) as gateway:
        station, transaction = await gateway.add_station(), str(uuid4())

        async def close() -> None:
            (over,) = await gateway.told(SessionEnded, station_id=station)
            await gateway.service.publish(record(station, over.session_id, "4.12"))

        async with connect_v2(gateway, station) as socket:
            wire = Wire(socket)
            await started(gateway, wire, station, transaction)
            closing = asyncio.ensure_future(close())
            answer = await wire.event("Ended", 1, "EVDeparted", transaction=transaction, wh=1800)
            assert answer == {"totalCost": 4.12}
            await closing


@pytest.mark.parametrize("version", ["ocpp2.0.1", V21])
async def test_I02_what_is_under_review_is_no_final_cost_and_the_driver_reads_that_it_is_checked(
    servers: Servers, issuer: Issuer, version: str
) -> None:
    async with running_gateway(servers, issuer, final_cost_wait_s=9) as gateway:
        station, transaction = await gateway.add_station(), str(uuid4())

        async def close() -> None:
            (over,) = await gateway.told(SessionEnded, station_id=station)
            told = record(station, over.session_id, "99.99", review="pending")
            await gateway.service.publish(told)

        async with connect_v2(gateway, station, version) as socket:
            wire = Wire(socket)
            session_id = await started(gateway, wire, station, transaction)
            await put_display(gateway, station, True)
            gateway.service.app.state.beside.gateway.tariffs.forget_display(station)
            closing = asyncio.ensure_future(close())
            answer = await wire.event("Ended", 1, "EVDeparted", transaction=transaction, wh=1800)
            text = {"format": "UTF8", "language": "en", "content": "The amount is being checked"}
            assert answer.pop("updatedPersonalMessageExtra", None) == (
                [text | {"language": "de", "content": "Der Betrag wird noch geprueft"}]
                if version == V21 else None
            )  # fmt: skip
            assert answer == {"updatedPersonalMessage": text}
            await closing
            costs = gateway.service.app.state.beside.gateway.costs
            decided = record(station, session_id, "4.12", review="valid").model_dump()
            await gateway.service.publish(RecordReviewed.model_validate(decided))

            async def final() -> bool:
                return bool(await costs.final(session_id, wait=False) == Decimal("4.12"))

            await eventually(final)
            assert not costs.is_checked(session_id)


async def test_I03_an_end_is_not_waited_for_if_billing_does_not_know_of_it_or_nobody_is_there(
    servers: Servers, issuer: Issuer
) -> None:
    async with running_gateway(servers, issuer, final_cost_wait_s=9) as gateway:
        station = await gateway.add_station()
        async with connect_v2(gateway, station) as socket:
            wire = Wire(socket)
            async with asyncio.timeout(8.5):
                for seq_no, offline in ((3, False), (1, True)):
                    transaction = str(uuid4())
                    await wire.event(
                        "Started", 0, "Authorized", transaction=transaction, token="GOOD",
                        evse=EVSE, wh=1000, offline=offline,
                    )  # fmt: skip
                    answer = await wire.event(
                        "Ended", seq_no, "EVDeparted", transaction=transaction, wh=1800,
                        offline=offline,
                    )  # fmt: skip
                    assert answer == {}


async def put_display(gateway: Gateway, station: str, shows: bool | None) -> None:
    async with gateway.service.as_(OPERATOR, "commands:write", "status:read") as api:
        url = f"/v1/stations/{station}/cost-display"
        body = {"shows_cost": shows}
        assert (await api.put(url, json={"shows_cost": not shows})).status_code == 200
        read = {"If-Match": (await api.get(url)).headers["ETag"]}
        put = await api.put(url, json=body, headers=read)
        assert put.json() == body
        assert (await api.get(url)).json() == body
        assert (await api.get(url)).headers["ETag"] == put.headers["ETag"]
        late = await api.put(url, json={"shows_cost": not shows}, headers=read)
        assert late.status_code == 412


async def received(socket: Any, timeout_s: float = 5) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), timeout_s))


async def test_I02_FR_01_a_station_that_shows_costs_is_told_each_but_not_too_often(
    servers: Servers, issuer: Issuer
) -> None:
    every_s = 1.5  # longer than the machine may stop between the costs that are told together
    async with running_gateway(servers, issuer, cost_update_every_s=every_s) as gateway:
        station, transaction = await gateway.add_station(), str(uuid4())
        async with connect_v2(gateway, station) as socket:
            wire = Wire(socket)
            session_id = await started(gateway, wire, station, transaction)
            await tell(gateway, cost(station, session_id, "0.10"))
            with pytest.raises(TimeoutError):
                await received(socket, every_s + 0.2)  # nobody has said that it shows any
            await put_display(gateway, station, True)
            began_s = time.monotonic()
            for gross in ("0.20", "0.30", "0.35"):
                await tell(gateway, cost(station, session_id, gross))
            call = await received(socket)
            assert call[2:] == ["CostUpdated", {"totalCost": 0.2, "transactionId": transaction}]
            await socket.send(json.dumps([3, call[1], {}]))
            # The newest, though nothing more is told: once, when the time is over.
            call = await received(socket)
            assert call[3]["totalCost"] == 0.35
            assert time.monotonic() - began_s >= every_s
            await socket.send(json.dumps([3, call[1], {}]))
            with pytest.raises(TimeoutError):
                await received(socket, every_s + 0.5)
            await tell(gateway, cost(station, session_id, "0.40"))
            call = await received(socket)
            assert call[3]["totalCost"] == 0.4
            await socket.send(json.dumps([4, call[1], "NotSupported", "", {}]))
            await asyncio.sleep(every_s + 0.2)
            await tell(gateway, cost(station, session_id, "0.50"))
            with pytest.raises(TimeoutError):
                await received(socket, 0.5)  # it has said that it cannot


async def test_I02_what_came_too_soon_is_not_told_once_the_session_is_over(
    servers: Servers, issuer: Issuer
) -> None:
    async with running_gateway(
        servers, issuer, cost_update_every_s=0.5, final_cost_wait_s=0
    ) as gateway:
        station, transaction = await gateway.add_station(), str(uuid4())
        async with connect_v2(gateway, station) as socket:
            wire = Wire(socket)
            session_id = await started(gateway, wire, station, transaction)
            await put_display(gateway, station, True)
            for gross in ("0.20", "0.30"):
                await tell(gateway, cost(station, session_id, gross))
            call = await received(socket)
            await socket.send(json.dumps([3, call[1], {}]))
            await wire.event("Ended", 1, "EVDeparted", transaction=transaction, wh=1800)
            with pytest.raises(TimeoutError):
                await received(socket, 0.7)


async def test_I02_what_was_held_back_is_not_told_after_what_is_newer(
    servers: Servers, issuer: Issuer
) -> None:
    async with running_gateway(servers, issuer, cost_update_every_s=2) as gateway:
        station, transaction = await gateway.add_station(), str(uuid4())
        async with connect_v2(gateway, station) as socket:
            wire = Wire(socket)
            session_id = await started(gateway, wire, station, transaction)
            await put_display(gateway, station, True)
            for gross in ("0.20", "0.30"):
                await tell(gateway, cost(station, session_id, gross))
            call = await received(socket)
            await socket.send(json.dumps([3, call[1], {}]))
            await asyncio.sleep(0.1)
            # The loop is busy, so the next is heard when the time is over, but before its timer.
            told = gateway.service.app.state.beside.gateway.costs.on_running
            time.sleep(2)  # noqa: ASYNC251
            told(cost(station, session_id, "0.40"))
            call = await received(socket)
            assert call[3]["totalCost"] == 0.4
            await socket.send(json.dumps([3, call[1], {}]))
            with pytest.raises(TimeoutError):
                await received(socket, 0.7)


async def test_I02_a_station_that_answers_no_cost_is_reached_by_commands_all_the_same(
    servers: Servers, issuer: Issuer
) -> None:
    async with running_gateway(
        servers, issuer, cost_update_every_s=0.1, ocpp_call_timeout_s=0.5
    ) as gateway:
        station = await gateway.add_station()
        async with connect_v2(gateway, station) as socket:
            wire = Wire(socket)
            for evse_id in range(1, 5):
                await wire.event(
                    "Started", 0, "Authorized", transaction=str(uuid4()), token="GOOD",
                    evse={"id": evse_id, "connectorId": 1}, wh=1000,
                )  # fmt: skip
            begun = await gateway.told(SessionStarted, 4, station_id=station)
            await put_display(gateway, station, True)
            for cents in range(10, 30):
                for one in begun:
                    await tell(gateway, cost(station, one.session_id, f"0.{cents}"))
                await asyncio.sleep(0.1)
            call = {"action": "ClearCache", "payload": {}}
            async with gateway.service.as_(OPERATOR, "commands:write") as api:
                await api.post(f"/v1/stations/{station}/commands", json={"ocpp": call})
            shown: dict[str, float] = {}

            async def next_action() -> Any:
                _, _, action, payload = await received(socket)
                if action == "CostUpdated":
                    shown[payload["transactionId"]] = payload["totalCost"]
                return action

            # Behind all of them it would wait for 40 s.
            async with asyncio.timeout(10):
                while await next_action() != "ClearCache":
                    pass
            # And each session's newest is told, one after the other.
            async with asyncio.timeout(20):
                while list(shown.values()) != [0.29] * 4:
                    await next_action()


@pytest.mark.parametrize("version", ["ocpp2.0.1", V21])
async def test_I02_what_a_station_says_of_itself_decides_whether_it_is_told(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    asked = {"component": {"name": "TariffCostCtrlr"}, "variable": {"name": "Enabled"}}
    asked["variable"]["instance"] = "Cost"
    async with connect_v2(gateway, station, version) as socket:
        call = {"action": "GetVariables", "payload": {"getVariableData": [asked]}}
        async with gateway.service.as_(OPERATOR, "commands:write", "status:read") as api:
            await api.post(f"/v1/stations/{station}/commands", json={"ocpp": call})
            message = await received(socket)
            result = asked | {"attributeStatus": "Accepted", "attributeValue": "true"}
            await socket.send(json.dumps([3, message[1], {"getVariableResult": [result]}]))

            async def learnt() -> bool:
                found = await api.get(f"/v1/stations/{station}/cost-display")
                return bool(found.json()["shows_cost"])

            await eventually(learnt)


async def test_I02_FR_01_a_cost_can_be_sent_by_hand(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        body = {"type": "cost_updated", "total_cost": 1.5, "transaction_id": transaction}
        sent = await accepted(gateway, socket, station, body)
    assert sent == {"totalCost": 1.5, "transactionId": transaction}


@pytest.mark.parametrize("version", ["ocpp2.0.1", V21])
async def test_I04_FR_02_and_I05_FR_01_what_is_shown_offline_is_set_by_staff(
    gateway: Gateway, version: str
) -> None:
    texts = {"TariffFallbackMessage": "Ask us", "TotalCostFallbackMessage": "You get a bill"}
    about = [{"component": {"name": "TariffCostCtrlr"}, "variable": {"name": one}} for one in texts]
    given = [
        {"component": "TariffCostCtrlr", "variable": name, "value": text}
        for name, text in texts.items()
    ]
    async with staffed(gateway, version) as staff:
        done, calls = await staff.send(
            {"type": "set_variables", "variables": given},
            {"setVariableResult": [one | {"attributeStatus": "Accepted"} for one in about]},
        )
        data = [
            one | {"attributeValue": text} for one, text in zip(about, texts.values(), strict=True)
        ]
        assert calls == [("SetVariables", {"setVariableData": data})]
        assert done["state"] == "accepted"
        kept = await staff.variables(component="TariffCostCtrlr")
        assert {one["variable"]: one["value"] for one in kept} == texts


async def test_two_who_wait_for_the_same_end_both_learn_of_it() -> None:
    costs, session_id = Costs(2), uuid4()
    waiting = [asyncio.ensure_future(costs.final(session_id, wait=True)) for _ in range(2)]
    await asyncio.sleep(0)
    message = type("Message", (), {"data": record("S", session_id, "0.00").model_dump_json()})
    await costs._on_closed(message)  # type: ignore[arg-type]
    assert await asyncio.gather(*waiting) == [0, 0]
    assert await costs.final(session_id, wait=False) == 0


async def test_a_record_that_is_taken_back_is_no_final_cost_and_its_correction_is() -> None:
    costs, session_id = Costs(0), uuid4()
    first = record("CP-1", session_id, "4.90")
    back = record("CP-1", session_id, "-4.90").model_copy(update={"kind": "cancellation"})
    right = record("CP-1", session_id, "3.43").model_copy(update={"kind": "correction"})
    for told, expected in ((first, Decimal("4.90")), (back, None), (right, Decimal("3.43"))):
        message = type("Message", (), {"data": told.model_dump_json()})
        await costs._on_closed(message)  # type: ignore[arg-type]
        assert await costs.final(session_id, wait=False) == expected
