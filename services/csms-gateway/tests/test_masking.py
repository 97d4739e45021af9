"""No secret gets into the message log: typed and raw, both directions, every version."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from csms_gateway import masking, schemas

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
    ("DataTransfer", {"vendorId": "x", "data": json.dumps({"wifi": [{"password": SECRET}]})}),
    ("DataTransfer", {"vendorId": "x", "data": "\n " + json.dumps({"password": SECRET})}),
    ("DataTransfer", {"vendorId": "x", "data": f"[password of ftp://user:{SECRET}@files.example]"}),
    ("DataTransfer", {"vendorId": "x", "data": {"psk": SECRET}}),
    ("DataTransfer", {"vendorId": "x", "data": {"passwords": [SECRET]}}),
    ("ChangeConfiguration", {"key": "AuthorizationKey", "value": [SECRET]}),
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


TOLD = [one for one in CARRIERS if one[0] in ("DataTransfer", "NotifyReport", "NotifyEvent")]


@pytest.mark.parametrize(("action", "payload"), TOLD)
def test_what_is_kept_of_a_notification_shows_no_secret(
    action: str, payload: dict[str, Any]
) -> None:
    kept = masking.kept(action, payload)
    assert SECRET not in json.dumps(kept) and masking.MASK in json.dumps(kept)
    assert kept.keys() == payload.keys()


LONG = SECRET * 50
# Payloads that break their schema at the very place of the secret.
WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("v16", "ChangeConfiguration", {"key": "AuthorizationKey", "value": LONG}),
    ("v16", "ChangeConfiguration", {"key": "AuthorizationKey", "value": [SECRET]}),
    ("v16", "DataTransfer", {"vendorId": {"x": SECRET}}),
    ("v16", "BootNotification", {"chargePointVendor": "V",
                                 "chargePointModel": {"password": SECRET}}),
    ("v16", "GetConfigurationResponse", {"configurationKey": [
        {"key": "AuthorizationKey", "readonly": False, "value": [SECRET]}]}),
    ("v201", "SetVariables", {"setVariableData": [
        variable("BasicAuthPassword", attributeValue=[SECRET])]}),
    ("v201", "SetNetworkProfile", profile(basicAuthPassword=[SECRET])),
    ("v21", "NotifyReport", {"reportData": SECRET}),
    ("v21", "Authorize", {"idToken": {"idToken": [SECRET], "type": "KeyCode"}}),
]  # fmt: skip


def said(check: Callable[[str, str, Any], Any], version: str, name: str, payload: Any) -> str:
    """Why a payload is refused; nothing if it is not."""
    try:
        check(version, name, json.loads(json.dumps(payload)))
    except schemas.Violation as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize(("version", "name", "payload"), WRONG)
def test_what_is_said_of_a_broken_payload_quotes_no_secret(
    version: str, name: str, payload: dict[str, Any]
) -> None:
    sent = said(schemas.check_outgoing, version, name, payload)
    assert sent and SECRET not in sent
    assert SECRET not in said(schemas.check_incoming, version, name, payload)


def test_what_is_said_of_a_broken_payload_quotes_what_is_no_secret() -> None:
    with pytest.raises(schemas.Violation, match='"Warm" is not one of'):
        schemas.check_outgoing("v16", "Reset", {"type": "Warm"})


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
