"""OCPP 2.1: sessions that are paid for at once, and the limits that come with a payment."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from gateway_commands import V16, V21, V201, Staffed, staffed
from gateway_wire import EVSE, OPERATOR, Gateway, kinds, running_gateway, stamp
from hypothesis import given
from hypothesis import strategies as st
from stack import Issuer, Servers

from common.clock import now
from common.events import RecordClosed, SessionEnded, SessionStarted
from csms_gateway.transaction_limits import missing

REFERENCE = "PSP-REF-7"
PAYMENT = {"idToken": REFERENCE, "type": "DirectPayment"}
START = {
    "type": "remote_start", "id_token": REFERENCE, "id_token_type": "DirectPayment", "evse_id": 1,
}  # fmt: skip
TX = {"transaction": "tx-1"}


async def asked(staff: Staffed, limits: dict[str, Any]) -> tuple[int, str]:
    """The remoteStartId of a session that somebody has paid for, and the id of its command."""
    done, ((action, payload),) = await staff.send(START | {"limits": limits})
    number: int = payload.pop("remoteStartId")
    # C24.FR.01, C25.FR.23: the payment's reference is the token; F07.FR.01: without the limits.
    assert (action, payload) == ("RequestStartTransaction", {"idToken": PAYMENT, "evseId": 1})
    assert done["state"] == "accepted"
    return number, done["id"]


async def began(staff: Staffed, number: int, **limit: Any) -> Any:
    info = {"remoteStartId": number, "chargingState": "Charging"} | limit
    return await staff.wire.event(
        "Started", 0, "RemoteStart", idToken=PAYMENT, evse=EVSE, wh=0, info=info, **TX
    )


async def test_C24_FR_01_FR_02_a_session_that_was_paid_for_at_a_kiosk_is_limited(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V21) as staff:
        number, command_id = await asked(
            staff, {"max_cost": "49.50", "max_time_s": 7200, "max_energy_wh": 20_000}
        )
        # With AuthorizeRemoteStart the station asks about the token first.
        answer = await staff.wire.send("Authorize", {"idToken": PAYMENT})
        assert answer == {"idTokenInfo": {"status": "Accepted"}}
        limits = {"maxCost": 49.5, "maxTime": 7200, "maxEnergy": 20_000}
        assert await began(staff, number) == {
            "idTokenInfo": {"status": "Accepted"}, "transactionLimit": limits,
        }  # fmt: skip
        told = {"transactionLimit": limits}
        assert await staff.wire.event("Updated", 1, "LimitSet", info=told, **TX) == {}
        (known,) = await gateway.transactions(station_id=staff.station_id)
        assert (known["id_token"], known["details"]) == (REFERENCE, told)
        command = await staff.get(f"commands/{command_id}", "commands:read")
        assert command["session_id"] == known["session_id"]
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        assert (started.token_status, kinds(started)) == ("Accepted", [])
        await staff.wire.event(
            "Ended", 2, "CostLimitReached", wh=700, info={"stoppedReason": "Local"}, **TX
        )
    (over,) = await gateway.told(SessionEnded, station_id=staff.station_id)
    assert (over.id_token, over.energy_wh, kinds(over)) == (REFERENCE, 700, [])


async def test_C25_FR_21_FR_23_and_24_a_web_payment_keeps_the_evse_and_begins_the_session(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V21) as staff:
        command = {"type": "notify_web_payment_started", "evse_id": 1, "timeout": 120}
        done, calls = await staff.send(command, {"customData": {"vendorId": "x"}})
        assert calls == [("NotifyWebPaymentStarted", {"evseId": 1, "timeout": 120})]
        assert done["state"] == "accepted"
        number, _ = await asked(staff, {"max_cost": "20"})
        assert (await began(staff, number))["transactionLimit"] == {"maxCost": 20.0}
        # Sent again, since the answer was lost, it says the same.
        assert (await began(staff, number))["transactionLimit"] == {"maxCost": 20.0}


@pytest.mark.parametrize(
    ("own", "told"), [(15.0, None), (20.0, None), (30.0, {"maxCost": 20.0}), (None, None)]
)
async def test_F07_FR_02_E16_FR_07_and_08_the_lower_limit_stands(
    gateway: Gateway, own: float | None, told: dict[str, Any] | None
) -> None:
    async with staffed(gateway, V21) as staff:
        number, _ = await asked(staff, {"max_cost": "20", "max_soc_percent": 80})
        limit = {"transactionLimit": {"maxCost": own, "maxSoC": 80}} if own else {}
        answer = await began(staff, number, **limit)
        expected = told if own else {"maxCost": 20.0, "maxSoC": 80}
        assert answer.get("transactionLimit") == expected


async def test_E16_FR_12_a_limit_that_the_station_does_not_support_is_not_asked_for(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V21) as staff:
        about = {"component": {"name": "TxCtrlr"}, "variable": {"name": "SupportedLimits"}}
        value = {"value": "maxEnergy,maxTime", "mutability": "ReadOnly"}
        report = {
            "requestId": 1, "seqNo": 0, "generatedAt": stamp(),
            "reportData": [about | {"variableAttribute": [value]}],
        }  # fmt: skip
        assert await staff.wire.send("NotifyReport", report) == {}
        done = await staff.command(START | {"limits": {"max_cost": "1", "max_time_s": 60}})
        assert (done["state"], done["result"]["code"]) == ("failed", "NotSupported")
        assert "maxCost" in done["result"]["description"]
        await asked(staff, {"max_time_s": 60})


@pytest.mark.parametrize("version", [V16, V201])
async def test_F07_a_session_with_limits_is_not_begun_without_them(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        card = {"id_token_type": "Central", "limits": {"max_energy_wh": 1000}}
        done = await staff.command(START | card)
    assert (done["state"], done["result"]["code"]) == ("failed", "NotSupported")


async def test_a_1_6_station_is_not_asked_for_a_session_that_it_would_refuse(
    gateway: Gateway,
) -> None:
    """Its tokens have no type: a payment's reference would be an unknown card, and who paid stood
    there without energy."""
    async with staffed(gateway, V16) as staff:
        async with gateway.service.as_(OPERATOR, "commands:write") as api:
            refused = await api.post(f"/v1/stations/{staff.station_id}/commands", json=START)
        assert refused.status_code == 422
        assert refused.json()["type"].endswith(":not-in-this-version")
        await staff.quiet()


async def test_a_payment_that_nobody_started_a_session_for_is_no_card(gateway: Gateway) -> None:
    async with staffed(gateway, V21) as staff:
        number, _ = await asked(staff, {"max_cost": "1"})
        stranger = PAYMENT | {"idToken": "PSP-REF-8"}
        for token in (stranger, PAYMENT | {"type": "Central"}):
            answer = await staff.wire.send("Authorize", {"idToken": token})
            assert answer["idTokenInfo"]["status"] == "Invalid"
        answer = await staff.wire.event(
            "Started", 0, "RemoteStart", idToken=stranger, evse=EVSE,
            info={"remoteStartId": number}, **TX,
        )  # fmt: skip
        assert answer["idTokenInfo"]["status"] == "Invalid"
    async with staffed(gateway, V21) as elsewhere:
        answer = await elsewhere.wire.send("Authorize", {"idToken": PAYMENT})
        assert answer["idTokenInfo"]["status"] == "Invalid"


async def test_C20_FR_03_a_payment_cancelled_after_the_start_costs_nothing(
    servers: Servers, issuer: Issuer
) -> None:
    async with (
        running_gateway(servers, issuer, final_cost_wait_s=9) as gateway,
        staffed(gateway, V21) as staff,
    ):
        gateway.identity.decisions[REFERENCE] = "Accepted"
        await staff.wire.event(
            "Started", 0, "CablePluggedIn", idToken=PAYMENT, evse=EVSE, wh=1000, **TX
        )
        closing = asyncio.ensure_future(close(gateway, staff.station_id))
        answer = await staff.wire.event(
            "Ended", 1, "EVConnectTimeout", wh=1000, info={"stoppedReason": "Timeout"}, **TX
        )
        assert answer == {"totalCost": 0.0}
        await closing
        settled = {
            "transactionId": "tx-1", "pspRef": REFERENCE, "status": "Canceled",
            "settlementAmount": 0.0, "settlementTime": stamp(),
        }  # fmt: skip
        assert await staff.wire.send("NotifySettlement", settled) == {}
        (kept,) = await staff.notifications(action="NotifySettlement")
        assert kept["payload"] == settled


async def close(gateway: Gateway, station: str) -> None:
    """As billing does, of a session that nothing was charged in."""
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.energy_wh, over.stop_reason) == (0, "Timeout")
    closed = RecordClosed(
        operator_id=OPERATOR, record_id=uuid4(), session_id=over.session_id, station_id=station,
        evse_id=1, card_id=None, user_id=None, started_at=now(), ended_at=now(),
        time_zone="Europe/Berlin", energy_wh=0, currency="EUR", total_gross=Decimal(0),
        total_net=Decimal(0), vat=Decimal(0),
    )  # fmt: skip
    await gateway.service.publish(closed)


async def test_C19_FR_02_C22_FR_01_and_02_what_became_of_payments_is_listed(
    gateway: Gateway,
) -> None:
    told: list[dict[str, Any]] = [
        {"status": "Canceled"},  # C19: there was no session
        {
            "status": "Rejected", "transactionId": "tx-1",
            "statusInfo": "card expired",
        },
        {"status": "Failed", "transactionId": "tx-2"},
    ]  # fmt: skip
    async with staffed(gateway, V21) as staff:
        for one in told:
            payment = {
                "pspRef": f"{REFERENCE}-{one['status']}", "settlementAmount": 12.34,
                "settlementTime": stamp(),
            }  # fmt: skip
            one |= payment  # noqa: PLW2901 - what is told is compared below
            assert await staff.wire.send("NotifySettlement", one) == {}
        kept = await staff.notifications(action="NotifySettlement")
    assert [one["payload"] for one in reversed(kept)] == told


async def test_C23_FR_02_a_higher_amount_is_the_sessions_new_limit(gateway: Gateway) -> None:
    async with staffed(gateway, V21) as staff:
        await staff.wire.event(
            "Started", 0, "Authorized", token="GOOD", evse=EVSE, wh=0,
            info={"transactionLimit": {"maxCost": 50.0}}, **TX,
        )  # fmt: skip
        for seq_no, most in ((1, 60.0), (3, 80.0), (2, 70.0)):  # the last comes late
            info = {"transactionLimit": {"maxCost": most}}
            assert await staff.wire.event("Updated", seq_no, "LimitSet", info=info, **TX) == {}
        (known,) = await gateway.transactions(station_id=staff.station_id)
        assert known["details"] == {"transactionLimit": {"maxCost": 80.0}}
        page = await history(staff, known["id"])
        assert [one["transactionInfo"]["transactionLimit"]["maxCost"] for one in page] == [
            80.0, 70.0, 60.0, 50.0,
        ]  # fmt: skip


async def history(staff: Staffed, transaction_id: int) -> list[dict[str, Any]]:
    """The events of a transaction, newest first."""
    async with staff.gateway.service.as_(OPERATOR, "sessions:read") as api:
        page = (await api.get(f"/v1/transactions/{transaction_id}/events")).json()
    return [one["payload"] for one in page["items"]]


LIMITS = st.dictionaries(st.sampled_from(["maxCost", "maxTime", "maxSoC"]), st.integers(0, 100))


@given(LIMITS, LIMITS)
def test_after_what_is_told_no_limit_is_above_what_was_wanted(
    wanted: dict[str, Any], own: dict[str, Any]
) -> None:
    after = own | missing(wanted, own)
    assert all(after[name] == min(value, own.get(name, value)) for name, value in wanted.items())
    assert not missing(wanted, after), "once is enough"
