"""SendLocalList (OCPP 1.6, 5.15)."""

from typing import Any

from csms_gateway import local_list_sending
from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import LocalListEntry, SendLocalList
from csms_gateway.local_list_difference import Part
from csms_gateway.v16.id_tag import id_tag, id_tag_info


def _entry(entry: LocalListEntry) -> dict[str, Any]:
    """Of token types 1.6 knows nothing. Raises Unsupported."""
    found: dict[str, Any] = {"idTag": id_tag(entry.id_token)}
    if entry.status is not None:
        found["idTagInfo"] = id_tag_info(
            entry.status, entry.expires_at, entry.group_id_token and id_tag(entry.group_id_token)
        )
    return found


def _payload(part: Part) -> dict[str, Any]:
    return {
        "listVersion": part.version,
        "updateType": "Full" if part.full else "Differential",
        "localAuthorizationList": part.entries,
    }


SPELLING = local_list_sending.Spelling("ocpp1.6", _entry, _payload)


async def calls(charger: Charger, command: SendLocalList) -> list[Call]:
    return await local_list_sending.calls(charger, command, SPELLING)


async def answered(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    part = Part(
        full=payload["updateType"] == "Full",
        version=payload["listVersion"],
        entries=payload.get("localAuthorizationList", []),
    )
    await local_list_sending.answered(charger, part, answer["status"], SPELLING)
