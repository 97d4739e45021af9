"""Every neutral command in the words of OCPP 1.6: valid by its schemas, or Unsupported."""

import contextlib
from typing import Any
from uuid import uuid4

from gateway_wire import Gateway, Wire
from hypothesis import given
from hypothesis import strategies as st

from csms_gateway import schemas
from csms_gateway.charger import Unsupported
from csms_gateway.commands.all_kinds import KINDS
from csms_gateway.commands.kinds import NEUTRAL, Kind
from csms_gateway.v16 import COMMANDS, outgoing

LOCATION = "ftp://files.example/fw.bin"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
AT = "2030-01-01T02:00:00+02:00"
# Of every neutral kind one or more; what is refused for the want of a session or a profile counts.
PROFILE = {
    "id": 3,
    "schedules": [{"unit": "A", "periods": [{"start_s": 0, "limit": 6.0}], "start_at": AT}],
}
HASHES = {
    "hash_algorithm": "SHA256",
    "issuer_name_hash": "a" * 64,
    "issuer_key_hash": "b" * 64,
    "serial_number": "01",
}
SAMPLES: list[dict[str, Any]] = [
    {"type": "remote_start", "id_token": "GOOD", "evse_id": 1},
    {"type": "remote_start", "id_token": "GOOD", "charging_profile": PROFILE},
    {"type": "remote_stop", "session_id": str(uuid4())},
    {"type": "rotate_password"},
    {"type": "unlock_connector", "evse_id": 1},
    {"type": "reset"},
    {"type": "get_variables", "variables": [{"variable": "HeartbeatInterval"}]},
    {"type": "get_variables", "variables": [{"variable": "A", "component": "B", "evse_id": 1}]},
    {"type": "set_variables", "variables": [{"variable": "HeartbeatInterval", "value": "60"}]},
    {"type": "set_variables", "variables": [{"variable": "A", "value": "x" * 2500}]},
    {"type": "trigger_message", "message": "BootNotification"},
    {"type": "change_availability", "operative": True},
    {"type": "clear_cache"},
    {"type": "data_transfer", "vendor_id": "v"},
    {
        "type": "send_local_list",
        "entries": [
            {"id_token": "GOOD", "group_id_token": "FLEET", "expires_at": AT},
            {"id_token": "x" * 36, "status": "Blocked"},
        ],
    },
    {"type": "send_local_list", "update": "differential", "entries": [{"id_token": "A"}]},
    {"type": "get_local_list_version"},
    {"type": "reserve_now", "id_token": "GOOD", "expires_at": AT, "evse_id": 1},
    {"type": "reserve_now", "id_token": "GOOD", "expires_at": AT, "connector_type": "cCCS2"},
    {"type": "cancel_reservation", "reservation_id": 1},
    {"type": "set_charging_profile", "profile": PROFILE | {"purpose": "station_max"}},
    {"type": "set_charging_profile", "profile": PROFILE | {"purpose": "station_external"}},
    {"type": "set_charging_profile", "evse_id": 1, "profile": PROFILE | {"purpose": "tx"}},
    {"type": "clear_charging_profile"},
    {"type": "clear_charging_profile", "purpose": "station_external"},
    {"type": "get_composite_schedule", "duration_s": 60, "unit": "A"},
    {"type": "update_firmware", "location": LOCATION},
    {
        "type": "update_firmware",
        "location": LOCATION,
        "signing_certificate": PEM,
        "signature": "c2ln",
    },
    {"type": "get_log", "location": LOCATION},
    {"type": "get_log", "log": "security", "location": LOCATION},
    {"type": "install_certificate", "use": "csms_root", "certificate": PEM},
    {"type": "install_certificate", "use": "v2g_root", "certificate": PEM},
    {"type": "delete_certificate", **HASHES},
    {"type": "get_installed_certificate_ids"},
    {"type": "get_installed_certificate_ids", "uses": ["csms_root", "v2g_chain"]},
    {"type": "certificate_signed", "chain": PEM},
    {"type": "certificate_signed", "chain": PEM, "use": "v2g"},
]


async def test_every_neutral_command_is_valid_in_1_6_or_unsupported_in_so_many_words(
    gateway: Gateway,
) -> None:
    named = {sample["type"] for sample in SAMPLES}
    assert named == {kind for kind, model in KINDS.items() if model in NEUTRAL}
    station = await gateway.add_station()
    why: dict[str, str] = {}
    async with gateway.connect(station) as socket:
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})
        charger = gateway.service.app.state.beside.get(station)
        for sample in SAMPLES:
            command: Kind = KINDS[sample["type"]].model_validate(sample)
            translate = COMMANDS.get(command.type)
            if translate is None:
                continue  # commands.records refuses it by name
            try:
                calls = await translate(charger, command)
            except Unsupported as unsupported:
                why[str(sample)] = str(unsupported)
                continue
            assert calls, sample
            for call in calls:
                schemas.check_outgoing("v16", call.action, call.payload)
    assert all(" " in reason for reason in why.values()), why


texts = st.text(max_size=600)


@given(texts, st.none() | st.integers(0, 2**40), st.none() | texts)
def test_whatever_is_asked_for_a_call_is_valid_or_unsupported(
    location: str, retries: int | None, data: str | None
) -> None:
    again = outgoing.without_none(retries=retries, data=data)
    for action, payload in (
        ("GetDiagnostics", {"location": location} | again),
        ("UpdateFirmware", {"location": location, "retrieveDate": AT} | again),
        ("DataTransfer", {"vendorId": location} | again),
    ):
        with contextlib.suppress(Unsupported):
            call = outgoing.call(action, payload)
            schemas.check_outgoing("v16", call.action, call.payload)
