"""No secret gets into the message log: typed and raw, both directions, every version."""

import json
from typing import Any

import pytest

from csms_gateway import masking

SECRET = "s3cr3t-V4lue"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"


def variable(name: str, component: str = "SecurityCtrlr", **more: Any) -> dict[str, Any]:
    return {"component": {"name": component}, "variable": {"name": name}, **more}


def profile(**data: Any) -> dict[str, Any]:
    connection = {"ocppVersion": "OCPP20", "ocppCsmsUrl": "wss://csms.example/ocpp", **data}
    return {"configurationSlot": 1, "connectionData": connection}


CARRIERS: list[tuple[str, dict[str, Any]]] = [
    ("ChangeConfiguration", {"key": "AuthorizationKey", "value": SECRET}),
    ("ChangeConfiguration", {"key": "authorizationkey", "value": SECRET}),
    ("ChangeConfiguration", {"key": "WiFiPassword", "value": SECRET}),
    ("ChangeConfiguration", {"key": "SimPin", "value": SECRET}),
    ("SetVariables", {"setVariableData": [variable("BasicAuthPassword", attributeValue=SECRET)]}),
    ("SetVariables", {"setVariableData": [
        variable("VpnKey", "NetworkConfiguration", attributeValue=SECRET)]}),
    ("SetNetworkProfile", profile(apn={"apn": "x", "apnPassword": SECRET, "simPin": 1234})),
    ("SetNetworkProfile", profile(vpn={"server": "x", "user": "u", "password": SECRET,
                                       "key": SECRET, "type": "IPSec"})),
    ("SetNetworkProfile", profile(basicAuthPassword=SECRET)),
    ("GetDiagnostics", {"location": f"ftp://user:{SECRET}@files.example/logs"}),
    ("GetLog", {"log": {"remoteLocation": f"https://user:{SECRET}@files.example/logs"}}),
    ("UpdateFirmware", {"location": f"https://:{SECRET}@files.example/1.bin"}),
    ("InstallCertificate", {"certificate": PEM.replace("MHcCAQEE", SECRET)}),
    ("DataTransfer", {"vendorId": "x", "data": PEM.replace("MHcCAQEE", SECRET)}),
    ("Authorize", {"idToken": {"idToken": SECRET, "type": "KeyCode"}}),
    ("TransactionEvent", {"idToken": {"idToken": SECRET, "type": "KeyCode"}, "seqNo": 1}),
    ("NotifyReport", {"reportData": [
        variable("BasicAuthPassword", variableAttribute=[{"type": "Actual", "value": SECRET}])]}),
    ("NotifyEvent", {"eventData": [variable("BasicAuthPassword", actualValue=SECRET)]}),
]  # fmt: skip


@pytest.mark.parametrize(("action", "payload"), CARRIERS)
def test_a_call_is_stored_without_its_secret(action: str, payload: dict[str, Any]) -> None:
    frame = json.dumps([2, "id", action, payload])
    hidden = masking.masked(action, frame)
    assert SECRET not in hidden and '"simPin":1234' not in hidden
    assert masking.MASK in hidden
    # Everything else is there: the frame is still one, with the same members.
    assert json.loads(hidden)[:3] == [2, "id", action]
    assert json.loads(hidden)[3].keys() == payload.keys()


ANSWERS: list[tuple[str | None, dict[str, Any]]] = [
    ("GetConfiguration", {"configurationKey": [
        {"key": "AuthorizationKey", "readonly": False, "value": SECRET}]}),
    (None, {"configurationKey": [{"key": "AuthorizationKey", "value": SECRET}]}),
    ("GetVariables", {"getVariableResult": [
        variable("BasicAuthPassword", attributeStatus="Accepted", attributeValue=SECRET)]}),
]  # fmt: skip


@pytest.mark.parametrize(("action", "payload"), ANSWERS)
def test_an_answer_is_stored_without_its_secret(
    action: str | None, payload: dict[str, Any]
) -> None:
    hidden = masking.masked(action, json.dumps([3, "id", payload]))
    assert SECRET not in hidden and masking.MASK in hidden


def test_what_is_no_secret_stays_byte_for_byte() -> None:
    for action, payload in (
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "300"}),
        ("GetConfiguration", {"configurationKey": [{"key": "HeartbeatInterval", "value": "1"}]}),
        ("SetVariables", {"setVariableData": [variable("Interval", attributeValue="9")]}),
        ("Authorize", {"idToken": {"idToken": "04A2", "type": "ISO14443"}}),
        ("DataTransfer", {"vendorId": "x", "data": "a@b"}),
    ):
        frame = json.dumps([2, "id", action, payload], separators=(" , ", " : "))
        assert masking.masked(action, frame) == frame
        assert masking.masked(action, frame) is frame


def test_hot_messages_are_not_even_read() -> None:
    """A frame that is no JSON passes untouched, so nothing parsed or searched it."""
    for action in ("MeterValues", "Heartbeat", "StatusNotification", "StartTransaction"):
        frame = "{password: AuthorizationKey"
        assert masking.masked(action, frame) is frame


def test_a_frame_that_is_none_shows_no_secret_either() -> None:
    broken = f'[2,"id","ChangeConfiguration",{{"key":"AuthorizationKey","value":"{SECRET}"'
    assert SECRET not in masking.masked(None, broken)
    assert masking.masked(None, "garbage") == "garbage"
    assert SECRET not in masking.masked(None, PEM.replace("MHcCAQEE", SECRET))
