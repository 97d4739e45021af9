"""A station's new password by OCPP (2.0.1, A01; 1.6 security whitepaper, A01), and that no record
shows one.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import OPERATOR, PASSWORD, Gateway, running_gateway
from hypothesis import given
from hypothesis import strategies as st
from secured_wire import basic
from stack import Issuer, Servers, eventually
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from common import credentials
from common.events import StationCredentialSet
from csms_gateway import masking, secrets_in
from csms_gateway.station_passwords import Passwords, forms
from csms_gateway.tables import Command, Station

ROTATE = {"type": "rotate_password"}


@pytest.fixture(scope="module")
async def keyed(servers: Servers, issuer: Issuer) -> AsyncIterator[Gateway]:
    async with running_gateway(servers, issuer, secret_key="k" * 32) as gateway:
        yield gateway


async def post(gateway: Gateway, station: str, body: Any, wait_s: float = 10) -> Any:
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        return await api.post(
            f"/v1/stations/{station}/commands",
            json=body,
            headers={"Idempotency-Key": uuid4().hex},
            params={"wait_s": wait_s},
        )


def password_of(call: list[Any], protocol: str) -> str:
    if protocol == "ocpp1.6":
        assert call[2] == "ChangeConfiguration"
        assert call[3]["key"] == "AuthorizationKey"
        return str(call[3]["value"])
    assert call[2] == "SetVariables"
    (item,) = call[3]["setVariableData"]
    assert item["component"] == {"name": "SecurityCtrlr"}
    assert item["variable"] == {"name": "BasicAuthPassword"}
    return str(item["attributeValue"])


def told(call: list[Any], status: str) -> dict[str, Any]:
    if call[2] == "ChangeConfiguration":
        return {"status": status}
    results = [
        {
            "attributeStatus": status,
            "component": item["component"],
            "variable": item["variable"],
        }
        for item in call[3]["setVariableData"]
    ]
    return {"setVariableResult": results}


async def sent(gateway: Gateway, socket: Any, station: str, body: Any, status: str | None) -> Any:
    """The call that came of a command, and the command at its end; None: the socket closes."""
    asked = asyncio.ensure_future(post(gateway, station, body))
    call = json.loads(await asyncio.wait_for(socket.recv(), 5))
    if status is None:
        await socket.close()
    elif status == "CALLERROR":
        await socket.send(json.dumps([4, call[1], "GenericError", "no", {}]))
    else:
        await socket.send(json.dumps([3, call[1], told(call, status)]))
    return call, (await asked).json()


async def lets_in(gateway: Gateway, station: str, password: str | bytes, protocol: str) -> bool:
    try:
        async with connect(
            f"{gateway.url}/{station}",
            additional_headers=basic(station, password),
            subprotocols=[protocol],  # type: ignore[list-item]
        ):
            return True
    except InvalidStatus as refusal:
        if refusal.response.status_code == 401:
            return False
        raise


async def records(gateway: Gateway, station: str) -> str:
    rows = await gateway.rows(Command, station)
    shown = [[row.parameters, row.calls, row.result, row.secrets] for row in rows]
    async with gateway.service.as_(OPERATOR, "commands:read") as api:
        listed = (await api.get(f"/v1/stations/{station}/commands")).text
    return json.dumps(shown) + listed


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_TC_A_09_and_TC_073_both_passwords_work_until_the_new_one_is_used(
    gateway: Gateway, protocol: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        call, done = await sent(gateway, socket, station, ROTATE, "Accepted")
        new = password_of(call, protocol)
    assert len(bytes.fromhex(new)) == 20
    assert done["state"] == "accepted"
    assert new not in await records(gateway, station)
    assert masking.MASK in await records(gateway, station)
    assert await lets_in(gateway, station, PASSWORD, protocol)
    assert await lets_in(gateway, station, bytes.fromhex(new), protocol)
    assert await lets_in(gateway, station, new, protocol)
    assert not await lets_in(gateway, station, PASSWORD, protocol)
    (row,) = await gateway.rows(Station, station)
    assert row.next_password_hash is None


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_TC_A_10_and_A01_FR_04_after_a_rejection_the_old_one_stays(
    gateway: Gateway, protocol: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        call, done = await sent(gateway, socket, station, ROTATE, "Rejected")
        assert done["state"] == "rejected"
        other, done = await sent(gateway, socket, station, ROTATE, "CALLERROR")
        assert done["state"] == "failed"
    for refused in (call, other):
        assert not await lets_in(gateway, station, password_of(refused, protocol), protocol)
    assert await lets_in(gateway, station, PASSWORD, protocol)
    (row,) = await gateway.rows(Station, station)
    assert row.next_password_hash is None


async def test_a_lost_answer_locks_nobody_out(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        first, _ = await sent(gateway, socket, station, ROTATE, None)
    async with gateway.connect(station) as socket:
        second, done = await sent(gateway, socket, station, ROTATE, None)
        assert done["state"] == "failed"
    async with gateway.connect(station) as socket:
        await sent(gateway, socket, station, ROTATE, "Rejected")
    # The station may have taken the first before it went away.
    assert await lets_in(gateway, station, password_of(first, "ocpp1.6"), "ocpp1.6")
    assert not await lets_in(gateway, station, password_of(second, "ocpp1.6"), "ocpp1.6")
    assert not await lets_in(gateway, station, PASSWORD, "ocpp1.6")


async def test_no_more_than_four_new_passwords_wait(gateway: Gateway) -> None:
    station = await gateway.add_station()
    for _ in range(5):
        async with gateway.connect(station) as socket:
            last, _ = await sent(gateway, socket, station, ROTATE, None)
    (row,) = await gateway.rows(Station, station)
    assert len(row.next_password_hash.split()) == 4
    assert await lets_in(gateway, station, password_of(last, "ocpp1.6"), "ocpp1.6")


BY_HAND = {
    "ocpp1.6": {
        "ocpp": {
            "action": "ChangeConfiguration",
            "payload": {"key": "AuthorizationKey", "value": "chosen-by-staff-1"},
        }
    },
    "ocpp2.0.1": {
        "ocpp": {
            "action": "SetVariables",
            "payload": {
                "setVariableData": [
                    {
                        "attributeValue": "chosen-by-staff-1",
                        "component": {"name": "SecurityCtrlr"},
                        "variable": {"name": "BasicAuthPassword"},
                    }
                ]
            },
        }
    },
}


@pytest.mark.parametrize("protocol", BY_HAND)
async def test_a_password_sent_by_staff_is_adopted_and_recorded_nowhere(
    keyed: Gateway, protocol: str
) -> None:
    station = await keyed.add_station()
    body = BY_HAND[protocol]
    waiting = await post(keyed, station, body, wait_s=0)
    assert waiting.status_code == 202
    (row,) = await keyed.rows(Command, station)
    assert row.secrets.startswith("gAAAA")
    assert "chosen-by-staff-1" not in await records(keyed, station)
    async with keyed.connect(station, subprotocols=[protocol]) as socket:
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        assert password_of(call, protocol) == "chosen-by-staff-1"
        await socket.send(json.dumps([3, call[1], told(call, "Accepted")]))

        async def finished() -> Any:
            (row,) = await keyed.rows(Command, station)
            return row if row.state == "accepted" else None

        row = await eventually(finished)
        assert row.secrets is None
    assert "chosen-by-staff-1" not in await records(keyed, station)
    (known,) = await keyed.rows(Station, station)
    assert known.next_password_hash.startswith("$argon2id$")
    assert await lets_in(keyed, station, "chosen-by-staff-1", protocol)
    assert not await lets_in(keyed, station, PASSWORD, protocol)


async def test_a_cancelled_command_forgets_its_password(keyed: Gateway) -> None:
    station = await keyed.add_station()
    waiting = (await post(keyed, station, BY_HAND["ocpp1.6"], wait_s=0)).json()
    async with keyed.service.as_(OPERATOR, "commands:write") as api:
        path = f"/v1/stations/{station}/commands/{waiting['id']}"
        assert (await api.delete(path)).json()["state"] == "cancelled"
    (row,) = await keyed.rows(Command, station)
    assert row.secrets is None


async def test_without_a_secret_key_a_password_by_hand_is_refused(
    servers: Servers, issuer: Issuer
) -> None:
    async with running_gateway(servers, issuer, secret_key=None) as gateway:
        station = await gateway.add_station()
        refused = await post(gateway, station, BY_HAND["ocpp1.6"], wait_s=0)
        assert (refused.status_code, refused.json()["status"]) == (503, 503)
        assert not await gateway.rows(Command, station)


async def test_a_new_password_by_registry_ends_the_one_on_its_way(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        call, _ = await sent(gateway, socket, station, ROTATE, "Accepted")
    newest = credentials.new_secret()
    await gateway.service.publish(
        StationCredentialSet(
            operator_id=OPERATOR, station_id=station, version=2,
            password_hash=credentials.fast_hash(newest),
        )
    )  # fmt: skip

    async def known() -> bool:
        (row,) = await gateway.rows(Station, station)
        return bool(row.credential_version == 2)

    await eventually(known)
    assert not await lets_in(gateway, station, password_of(call, "ocpp1.6"), "ocpp1.6")
    assert await lets_in(gateway, station, newest, "ocpp1.6")


async def test_a_station_that_tells_its_password_is_not_quoted(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        body = {"ocpp": {"action": "GetConfiguration", "payload": {}}}
        asked = asyncio.ensure_future(post(gateway, station, body))
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        key = {"key": "AuthorizationKey", "readonly": False, "value": PASSWORD}
        await socket.send(json.dumps([3, call[1], {"configurationKey": [key]}]))
        assert PASSWORD not in (await asked).text
    assert PASSWORD not in await records(gateway, station)


async def test_a_verdict_is_remembered_whatever_it_is() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("vendor-default")
    for _ in range(2):
        assert await passwords.matches(b"vendor-default", hashed)
        assert not await passwords.matches(b"something else", hashed)
    assert len(passwords._verdicts) == 2
    assert not await passwords.matches(b"x" * 129, hashed)


@given(st.binary(min_size=16, max_size=20))
def test_a_hex_password_is_known_by_its_bytes_and_by_its_digits(raw: bytes) -> None:
    secret = raw.hex()
    hashed = credentials.fast_hash(secret)
    for given_as in (raw, secret.encode(), secret.upper().encode()):
        assert any(credentials.matches(form, hashed) for form in forms(given_as))


CALLS = st.sampled_from(
    [
        *(body["ocpp"] for body in BY_HAND.values()),
        {
            "action": "SetNetworkProfile",
            "payload": {"connectionData": {"apn": {"apnPassword": "p"}, "vpn": {"key": "k"}}},
        },
        {"action": "ChangeConfiguration", "payload": {"key": "HeartbeatInterval", "value": "5"}},
        {"action": "SetVariables", "payload": {"setVariableData": "nonsense"}},
    ]
)


@given(CALLS)
def test_what_is_taken_out_can_be_put_back(call: dict[str, Any]) -> None:
    for what, payload in ((call["action"], call["payload"]), ("ocpp", call)):
        masked, secrets = secrets_in.take_out(what, payload)
        assert not any(secret in json.dumps(masked) for secret in secrets if len(secret) > 1)
        assert secrets_in.put_back(what, masked, secrets) == payload
