"""A charger of OCPP 1.6 with a display, by the OCA's extension for prices and costs."""

import asyncio
import json
from typing import Any
from uuid import uuid4

from gateway_wire import Wire
from stack import WAIT_S, eventually
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

VENDOR = "org.openchargealliance.costmsg"
KEYS = {"CustomDisplayCostAndPrice": "true", "Language": "de"}


class Display(Wire):
    """A charger of OCPP 1.6 that takes what it is sent, and keeps it in order."""

    def __init__(self, socket: ClientConnection, keys: dict[str, str]) -> None:
        super().__init__(socket)
        self.keys = keys
        self.heard: list[tuple[str, Any]] = []  # our own answers and what we are sent
        self.answers: dict[str, asyncio.Future[Any]] = {}
        self.says = "Accepted"

    async def send(self, action: str, payload: dict[str, Any], message_id: str = "") -> Any:
        message_id = message_id or uuid4().hex
        self.answers[message_id] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps([2, message_id, action, payload]))
        return await asyncio.wait_for(self.answers[message_id], WAIT_S)

    async def read(self) -> None:
        while True:
            try:
                frame = json.loads(await self.socket.recv())
            except ConnectionClosed:
                return
            if frame[0] == 3:
                self.heard.append(("answer", frame[2]))
                self.answers[frame[1]].set_result(frame[2])
            elif frame[0] == 2:
                self.heard.append((frame[2], frame[3]))
                await self.socket.send(json.dumps([3, frame[1], self._answer(*frame[2:4])]))

    def _answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action == "GetConfiguration":
            asked = payload.get("key", [])
            told = [
                {"key": key, "value": value, "readonly": True}
                for key, value in self.keys.items()
                if key in asked
            ]
            return {
                "configurationKey": told,
                "unknownKey": [key for key in asked if key not in self.keys],
            }
        return {"status": self.says if action == "DataTransfer" else "Accepted"}

    def costs(self, message_id: str) -> list[Any]:
        """The data of what was sent by the extension."""
        found = [payload for action, payload in self.heard if action == "DataTransfer"]
        assert all(payload["vendorId"] == VENDOR for payload in found)
        return [json.loads(one["data"]) for one in found if one["messageId"] == message_id]

    async def cost(self, message_id: str, count: int = 1) -> Any:
        async def there() -> Any:
            found = self.costs(message_id)
            return found if len(found) >= count else None

        found = await eventually(there)
        assert len(found) == count, found
        return found[-1]

    async def boot(self, firmware: str = "1.0") -> None:
        await self.send(
            "BootNotification",
            {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": firmware},
        )
