"""SendLocalList (OCPP 2.0.1, D01)."""

from typing import Any

from csms_gateway import local_list_sending
from csms_gateway.charger import Call, Charger
from csms_gateway.clocks import wire_time
from csms_gateway.commands.kinds import LocalListEntry, SendLocalList
from csms_gateway.local_list_difference import Part
from csms_gateway.v201.id_token_info import GROUP_TYPE


def _entry(entry: LocalListEntry) -> dict[str, Any]:
    found: dict[str, Any] = {"idToken": {"idToken": entry.id_token, "type": entry.id_token_type}}
    if entry.status is not None:
        info = found["idTokenInfo"] = {"status": entry.status}
        if entry.expires_at:
            info["cacheExpiryDateTime"] = wire_time(entry.expires_at)
        if entry.group_id_token:
            info["groupIdToken"] = {"idToken": entry.group_id_token, "type": GROUP_TYPE}
    return found


def _payload(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {
        "versionNumber": part.version,
        "updateType": "Full" if part.full else "Differential",
    }
    if part.entries:  # the schema has no empty list
        found["localAuthorizationList"] = part.entries
    return found


# 2.0.1 and 2.1 write them alike.
SPELLING = local_list_sending.Spelling("ocpp2", _entry, _payload)


async def calls(charger: Charger, command: SendLocalList) -> list[Call]:
    return await local_list_sending.calls(charger, command, SPELLING)


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    part = Part(
        full=payload["updateType"] == "Full",
        version=payload["versionNumber"],
        entries=payload.get("localAuthorizationList", []),
    )
    await local_list_sending.answered(charger, part, answer["status"], SPELLING)
