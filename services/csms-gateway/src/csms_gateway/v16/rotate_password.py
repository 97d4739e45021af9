"""The station's password by ChangeConfiguration (1.6 security whitepaper, A01): in hex."""

from csms_gateway import password_rotation
from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import RotatePassword


def call(password: str) -> Call:
    return Call("ChangeConfiguration", {"key": "AuthorizationKey", "value": password})


async def calls(_: Charger, __: RotatePassword) -> list[Call]:
    return [call(password_rotation.new_password())]
