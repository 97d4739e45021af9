"""For comparison: the PyPI ocpp package's own ChargePoint loop. It stores nothing.

python bare_server.py PORT
"""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from itertools import count
from typing import Any

from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus
from websockets.asyncio.server import ServerConnection, serve

transaction_ids = count(1)
ACCEPTED = IdTagInfo(status=AuthorizationStatus.accepted)


class Bare(ChargePoint):
    @on(Action.boot_notification)
    def on_boot(self, **_: Any) -> Any:
        return call_result.BootNotification(
            current_time=datetime.now(UTC).isoformat(),
            interval=300,
            status=RegistrationStatus.accepted,
        )

    @on(Action.heartbeat)
    def on_heartbeat(self) -> Any:
        return call_result.Heartbeat(current_time=datetime.now(UTC).isoformat())

    @on(Action.status_notification)
    def on_status(self, **_: Any) -> Any:
        return call_result.StatusNotification()

    @on(Action.authorize)
    def on_authorize(self, **_: Any) -> Any:
        return call_result.Authorize(id_tag_info=ACCEPTED)

    @on(Action.start_transaction)
    def on_start(self, **_: Any) -> Any:
        return call_result.StartTransaction(
            transaction_id=next(transaction_ids), id_tag_info=ACCEPTED
        )

    @on(Action.meter_values)
    def on_meter(self, **_: Any) -> Any:
        return call_result.MeterValues()

    @on(Action.stop_transaction)
    def on_stop(self, **_: Any) -> Any:
        return call_result.StopTransaction()


async def handle(socket: ServerConnection) -> None:
    assert socket.request is not None
    try:
        await Bare(socket.request.path.rpartition("/")[2], socket).start()
    except Exception:  # noqa: BLE001 - the end of a connection
        return


async def main(port: int) -> None:
    logging.getLogger("ocpp").setLevel(logging.ERROR)
    async with serve(handle, "127.0.0.1", port, subprotocols=["ocpp1.6"], compression=None):  # type: ignore[list-item]
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
