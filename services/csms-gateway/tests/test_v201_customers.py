"""OCPP 2.0.1, N09 and N10: what a station knows of a customer is told and erased."""

from typing import Any
from uuid import uuid4

import pytest
from gateway_commands import V201, Staffed, staffed
from gateway_wire import OPERATOR, Gateway, stamp

TOKEN = {"id_token": {"idToken": "GOOD", "type": "ISO14443"}}
IDENTIFIER = {"customer_identifier": "customer 4711"}
CERTIFICATE = {
    "customer_certificate": {
        "hashAlgorithm": "SHA256", "issuerNameHash": "aa" * 32, "issuerKeyHash": "bb" * 32,
        "serialNumber": "0c",
    }
}  # fmt: skip
NAMES = {
    "id_token": "idToken",
    "customer_identifier": "customerIdentifier",
    "customer_certificate": "customerCertificate",
}


async def told(staff: Staffed, number: int, *parts: str) -> None:
    for seq_no, data in enumerate(parts):
        payload = {
            "requestId": number, "data": data, "seqNo": seq_no, "generatedAt": stamp(),
            "tbc": seq_no + 1 < len(parts),
        }  # fmt: skip
        assert await staff.wire.send("NotifyCustomerInformation", payload) == {}


async def shown(staff: Staffed, number: int) -> list[tuple[int, bool, str]]:
    found = await staff.get("customer-information", "users:read", request_id=number)
    return [(one["part"], one["last"], one["data"]) for one in found["items"]]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    ("customer", "report", "clear", "parts"),
    [
        pytest.param(TOKEN, True, False, ["no data"], id="TC_N_28"),
        pytest.param(TOKEN, True, True, ["name: Erika", "street: 1"], id="TC_N_30"),
        pytest.param(TOKEN, True, True, ["no data"], id="TC_N_31"),
        pytest.param(TOKEN, False, True, ["erased"], id="TC_N_32"),
        pytest.param(IDENTIFIER, True, True, ["name: Max"], id="TC_N_62"),
        pytest.param(CERTIFICATE, True, True, ["name: Mia"], id="TC_N_63"),
    ],
)
async def test_TC_N_28_TC_N_30_TC_N_31_TC_N_32_TC_N_62_TC_N_63_N09_N10_an_answer_is_its_requests(
    gateway: Gateway,
    version: str,
    customer: dict[str, Any],
    report: bool,
    clear: bool,
    parts: list[str],
) -> None:
    async with staffed(gateway, version) as staff:
        command = {"type": "customer_information", "report": report, "clear": clear, **customer}
        done, ((action, sent),) = await staff.send(command)
        number = sent.pop("requestId")
        named = {NAMES[name]: value for name, value in customer.items()}
        assert (action, sent) == (
            "CustomerInformation", {"report": report, "clear": clear} | named,
        )  # fmt: skip
        assert done["state"] == "accepted"
        await told(staff, number, *parts)
        await told(staff, number + 1000, "of somebody else")
        last = len(parts) - 1
        assert await shown(staff, number) == [(n, n == last, one) for n, one in enumerate(parts)]
        assert await staff.notifications() == []
        async with gateway.service.as_(uuid4(), "users:read") as other:
            path = f"/v1/stations/{staff.station_id}/customer-information"
            assert (await other.get(path)).json()["items"] == []


@pytest.mark.parametrize("status", ["Rejected", "Invalid"])
async def test_TC_N_29_N09_a_station_that_refuses_has_told_nothing(
    gateway: Gateway, status: str
) -> None:
    async with staffed(gateway, V201) as staff:
        command = {"type": "customer_information", "report": True, "clear": False, **TOKEN}
        done, ((_, sent),) = await staff.send(command, {"status": status})
        assert (done["state"], done["result"]) == ("rejected", {"status": status})
        assert await shown(staff, sent["requestId"]) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "give one of"),
        ({**TOKEN, **IDENTIFIER}, "give one of"),
        ({**TOKEN, "report": False}, "to report or to clear"),
    ],
)
async def test_N09_FR_04_N10_FR_08_a_request_that_names_no_one_customer_is_not_sent(
    gateway: Gateway, changes: dict[str, Any], why: str
) -> None:
    async with staffed(gateway, V201) as staff:
        command = {"type": "customer_information", "report": True, "clear": False, **changes}
        done = await staff.command(command)
        assert (done["state"], done["calls"]) == ("failed", [])
        assert why in done["result"]["description"]
        assert "currentTime" in await staff.wire.send("Heartbeat", {})


async def test_TC_N_46_N10_an_erased_customer_is_taken_off_the_local_list_by_its_difference(
    gateway: Gateway,
) -> None:
    async with (
        staffed(gateway, V201) as staff,
        gateway.service.as_(OPERATOR, "commands:read", "commands:write") as api,
    ):
        path = f"/v1/local-lists/{staff.station_id}"
        entries = [{"id_token": f"T{n}"} for n in range(4)] + [{"id_token": "GOOD"}]
        await api.put(path, json={"entries": entries}, headers={"If-Match": '"0"'})
        _, first = await staff.asked()
        command = {"type": "customer_information", "report": True, "clear": True, **TOKEN}
        _, ((_, sent),) = await staff.send(command)
        await told(staff, sent["requestId"], "name: Erika")
        await api.put(path, json={"entries": entries[:4]}, headers={"If-Match": '"1"'})
        action, second = await staff.asked()
        assert (action, second["updateType"]) == ("SendLocalList", "Differential")
        assert second["versionNumber"] == first["versionNumber"] + 1
        assert second["localAuthorizationList"] == [
            {"idToken": {"idToken": "GOOD", "type": "ISO14443"}}
        ]
