"""GetLocalListVersion (OCPP 1.6, 5.10)."""

from typing import Any

from csms_gateway import local_list_sending
from csms_gateway.charger import Charger
from csms_gateway.commands.kinds import GetLocalListVersion
from csms_gateway.v16.send_local_list import SPELLING


def payload(_: GetLocalListVersion) -> dict[str, Any]:
    return {}


async def answered(charger: Charger, _: dict[str, Any], answer: dict[str, Any]) -> None:
    await local_list_sending.version_told(charger, answer["listVersion"], SPELLING)
