"""What a charger of OCPP 2.x merely remembers: messages for its display, networks, tariffs."""

from fleet.dialect import Payload, moment
from fleet.parts import Command, Parts
from fleet.v2.messages import read_token
from fleet.v2.reports import send

MOST_MESSAGES = 20
FORMATS = {"ASCII", "UTF8"}
MOST_SLOTS = 10
LONGEST_PIECE = 512  # characters of customer information in one message


def set_display_message(parts: Parts, payload: Payload) -> Payload:
    """O01. The same id again replaces (O06)."""
    message = payload["message"]
    shown: dict[int, Payload] = parts.kept.setdefault("messages", {})
    if message["message"]["format"] not in FORMATS:
        return {"status": "NotSupportedMessageFormat"}
    transaction_id = message.get("transactionId")
    if transaction_id is not None and parts.sessions.find(transaction_id) is None:
        return {"status": "UnknownTransaction"}
    if len(shown) >= MOST_MESSAGES and message["id"] not in shown:
        return {"status": "Rejected"}
    shown[message["id"]] = message
    parts.say(0, f"shows: {message['message']['content']}")
    return {"status": "Accepted"}


def get_display_messages(parts: Parts, payload: Payload) -> Payload:
    found = [
        message
        for message in parts.kept.get("messages", {}).values()
        if payload.get("priority") in {None, message["priority"]}
        and payload.get("state") in {None, message.get("state")}
        and message["id"] in payload.get("id", [message["id"]])
    ]
    messages = [{"requestId": payload["requestId"], "messageInfo": found}] if found else []
    send(parts, "NotifyDisplayMessages", messages)
    return {"status": "Accepted" if found else "Unknown"}


def clear_display_message(parts: Parts, payload: Payload) -> Payload:
    gone = parts.kept.get("messages", {}).pop(payload["id"], None)
    return {"status": "Unknown" if gone is None else "Accepted"}


def customer_information(parts: Parts, payload: Payload) -> Payload:
    """N09, N10: what the charger knows of somebody is in its cache and its local list."""
    if not payload["report"] and not payload["clear"]:
        return {"status": "Rejected"}
    token = read_token(payload["idToken"]) if "idToken" in payload else None
    text = ""
    if token:
        known = parts.authority.own_verdict(token)
        text = f"{token}: {known.status}" if known else ""
        if payload["clear"]:
            parts.authority.forget(token)
    if payload["report"] or payload["clear"]:
        pieces = [text[at : at + LONGEST_PIECE] for at in range(0, len(text), LONGEST_PIECE)]
        pieces = pieces if payload["report"] and pieces else [""]
        messages = [
            {
                "requestId": payload["requestId"],
                "generatedAt": moment(parts.clock()),
                "seqNo": number,
                "tbc": number + 1 < len(pieces),
                "data": piece,
            }
            for number, piece in enumerate(pieces)
        ]
        send(parts, "NotifyCustomerInformation", messages)
    return {"status": "Accepted"}


def set_network_profile(parts: Parts, payload: Payload) -> Payload:
    """B09. It is used when NetworkConfigurationPriority names its slot, from the next boot on."""
    slot, data = payload["configurationSlot"], payload["connectionData"]
    slots: dict[int, Payload] = parts.kept.setdefault("network", {})
    if data["ocppTransport"] != "JSON" or not data["ocppCsmsUrl"].startswith(("ws://", "wss://")):
        return {"status": "Rejected"}
    if not 0 < slot <= MOST_SLOTS:
        return {"status": "Rejected"}
    slots[slot] = data
    return {"status": "Accepted"}


def set_default_tariff(parts: Parts, payload: Payload) -> Payload:
    """I07 of OCPP 2.1; EVSE 0 stands for all."""
    evse_id, tariff = payload["evseId"], payload["tariff"]
    if evse_id not in {0, *parts.connectors}:
        return {"status": "Rejected"}
    tariffs: dict[int, Payload] = parts.kept.setdefault("tariffs", {})
    for number in [evse_id] if evse_id else parts.connectors:
        tariffs[number] = tariff
    return {"status": "Accepted"}


def get_tariffs(parts: Parts, payload: Payload) -> Payload:
    evse_id = payload["evseId"]
    if evse_id not in {0, *parts.connectors}:
        return {"status": "Rejected"}
    found: dict[str, list[int]] = {}
    for number, tariff in parts.kept.get("tariffs", {}).items():
        if evse_id in {0, number}:
            found.setdefault(tariff["tariffId"], []).append(number)
    if not found:
        return {"status": "NoTariff"}
    assignments = [
        {"tariffId": tariff_id, "tariffKind": "DefaultTariff", "evseIds": evse_ids}
        for tariff_id, evse_ids in found.items()
    ]
    return {"status": "Accepted", "tariffAssignments": assignments}


def clear_tariffs(parts: Parts, payload: Payload) -> Payload:
    tariffs: dict[int, Payload] = parts.kept.get("tariffs", {})
    here = {number: tariff["tariffId"] for number, tariff in tariffs.items()
            if payload.get("evseId", 0) in {0, number}}  # fmt: skip
    wanted = payload.get("tariffIds") or sorted(set(here.values()))
    for number, tariff_id in here.items():
        if tariff_id in wanted:
            del tariffs[number]
    results = [
        {"tariffId": one, "status": "Accepted" if one in here.values() else "NoTariff"}
        for one in wanted
    ]
    return {"clearTariffsResult": results or [{"status": "NoTariff"}]}


def change_transaction_tariff(parts: Parts, payload: Payload) -> Payload:
    session = parts.sessions.find(payload["transactionId"])
    if session is None:
        return {"status": "TxNotFound"}
    before = parts.kept.get("tariffs", {}).get(session.connector_id)
    if before and before["currency"] != payload["tariff"]["currency"]:
        return {"status": "NoCurrencyChange"}
    parts.say(session.connector_id, f"now costs by tariff {payload['tariff']['tariffId']}")
    session.tariff = payload["tariff"]
    return {"status": "Accepted"}


COMMANDS: dict[str, Command] = {
    "SetDisplayMessage": set_display_message,
    "GetDisplayMessages": get_display_messages,
    "ClearDisplayMessage": clear_display_message,
    "CustomerInformation": customer_information,
    "SetNetworkProfile": set_network_profile,
}

TARIFF_COMMANDS: dict[str, Command] = {
    "SetDefaultTariff": set_default_tariff,
    "GetTariffs": get_tariffs,
    "ClearTariffs": clear_tariffs,
    "ChangeTransactionTariff": change_transaction_tariff,
}
