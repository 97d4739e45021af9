"""The station's password by ChangeConfiguration (1.6 security whitepaper, A01): in hex."""

from csms_gateway import password_rotation
from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import RotatePassword


async def calls(_: Charger, __: RotatePassword) -> list[Call]:
    payload = {"key": "AuthorizationKey", "value": password_rotation.new_password()}
    return [Call("ChangeConfiguration", payload)]
