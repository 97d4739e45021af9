"""A station's new password by OCPP (2.0.1, A01; 1.6 security whitepaper, A01).

Its hash is stored before it is sent: whatever happens to the answer, the station gets in. Until
the new one is used the old one works as well, because a station may answer Accepted and restart
before it has written anything down. Several can wait: a station that did not answer twice may
have taken either.
"""

from typing import TYPE_CHECKING, Any, Final

from common import credentials
from csms_gateway import secrets_in
from csms_gateway.awaited_answers import CallFailed
from csms_gateway.charger import Call

if TYPE_CHECKING:
    from csms_gateway.charger import Charger

WAITING_MAX: Final = 4

EXPECT: Final = """
update station set next_password_hash = array_to_string(
    (string_to_array(next_password_hash, ' ') || $2::text)
        [greatest(1, coalesce(cardinality(string_to_array(next_password_hash, ' ')), 0) + 2 - $3):],
    ' ')
where station_id = $1
"""
# It may have used it already, and then it is no longer the next one.
ADOPT: Final = """
update station set next_password_hash = $2
where station_id = $1 and password_hash is distinct from $2
"""
FORGET: Final = """
update station set next_password_hash = nullif(
    array_to_string(array_remove(string_to_array(next_password_hash, ' '), $2::text), ' '), '')
where station_id = $1
"""


def new_password() -> str:
    """40 hex digits: what AuthorizationKey takes (20 bytes), and BasicAuthPassword's most."""
    return credentials.new_secret()


async def call(charger: "Charger", asked: Call, timeout_s: float) -> dict[str, Any]:
    """Call the charger; if the call gives it a password, let it in with that from now on.

    Raises what Charger.call does.
    """
    given = secrets_in.station_passwords(asked.action, asked.payload)
    if not given:
        return await charger.call(asked.action, asked.payload, timeout_s)
    # Of several in one call the last one stays.
    hashed = await charger.gateway.passwords.hash(given[-1])
    execute = charger.gateway.pool.execute
    await execute(EXPECT, charger.station_id, hashed, WAITING_MAX)
    try:
        answer = await charger.call(asked.action, asked.payload, timeout_s)
    except CallFailed:
        await execute(FORGET, charger.station_id, hashed)
        raise
    if secrets_in.taken(asked.action, answer):
        await execute(ADOPT, charger.station_id, hashed)
    else:
        await execute(FORGET, charger.station_id, hashed)
    return answer
