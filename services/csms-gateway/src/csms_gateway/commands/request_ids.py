"""Numbers that OCPP 2.x wants in requests, by which what comes of them is known."""

from csms_gateway.charger import Charger


async def following(charger: Charger) -> int:
    """One that no other request has: requestId, remoteStartId, reservation and profile ids."""
    number: int = await charger.gateway.pool.fetchval("select nextval('request_id_seq')")
    return number
