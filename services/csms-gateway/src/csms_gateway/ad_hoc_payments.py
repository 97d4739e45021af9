"""Sessions that were paid for elsewhere, at a kiosk or on a web page (OCPP 2.1, C24 and C25).

Who took the payment asks for the session: a remote start whose token is the payment's reference. No
card of ours has that number, so identity is not asked about it. 2.0.1 has no word of its own for
such a token: it is Central there, which no station asks about or keeps in its cache (2.0.1, C03).
"""

from typing import Final

from common.authorize import AuthorizeAnswer
from csms_gateway.charger import Charger

DIRECT_PAYMENT: Final = "DirectPayment"  # 2.1, IdTokenType.type
CENTRAL: Final = "Central"
# A week: the token may come again when its session ends, and none lasts longer than that.
ASKED_FOR: Final = """
select exists (
    select from command
    where station_id = $1 and remote_start_id is not null and type = 'remote_start'
    and state <> 'rejected' and requested_at > now() - interval '7 days'
    and parameters ->> 'id_token' = $2 and parameters ->> 'id_token_type' = $3
)
"""


def token_type(charger: Charger, kind: str) -> str:
    """IdTokenType.type as the station's version has it, of a command's."""
    if kind == DIRECT_PAYMENT and charger.version.schemas == "v201":
        return CENTRAL
    return kind


async def paid(charger: Charger, id_token: str, kind: str) -> AuthorizeAnswer | None:
    """None: it is no payment that this station was asked to start a session for."""
    if kind != token_type(charger, DIRECT_PAYMENT):
        return None
    asked = await charger.gateway.pool.fetchval(
        ASKED_FOR, charger.station_id, id_token, DIRECT_PAYMENT
    )
    if not asked:
        return None
    return AuthorizeAnswer(status="Accepted", why="paid for elsewhere; we asked for the session")
