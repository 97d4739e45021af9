"""CustomerInformation (OCPP 2.0.1, N09 and N10): mirrored; it names one customer and asks for
something.
"""

from typing import Any, Final

from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.v201 import mirrored

CUSTOMER: Final = ("idToken", "customerCertificate", "customerIdentifier")
_translate = mirrored.translation("customer_information")


async def calls(charger: Charger, command: Any) -> list[Call]:
    """Raises Unsupported."""
    if not (command.report or command.clear):
        raise Unsupported("a station is asked to report or to clear")  # N09.FR.07
    (call,) = await _translate(charger, command)
    # N09.FR.04 and N10.FR.08; a station answers Invalid to several (N09.FR.09).
    if sum(name in call.payload for name in CUSTOMER) != 1:
        raise Unsupported("give one of id_token, customer_certificate and customer_identifier")
    return [call]
