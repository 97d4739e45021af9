"""VatNumberValidation (OCPP 2.1, C18.FR.10): nobody is asked whether a number is a company's.

A well-formed number is not a valid one, so Accepted would claim what nobody has looked up.
"""

from typing import Any

from csms_gateway.charger import Charger


async def answer(_: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "vatNumber": payload["vatNumber"],
        "status": "Rejected",
        "statusInfo": {
            "reasonCode": "UnsupportedRequest",
            "additionalInfo": "no service that validates VAT numbers is connected",
        },
    }
    if "evseId" in payload:
        found["evseId"] = payload["evseId"]
    return found
