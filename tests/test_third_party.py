"""Chargers that were not written here charge too: other people's code and schemas, our suite."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import (
    Action,
    AuthorizationStatus,
    ChargePointErrorCode,
    ChargePointStatus,
    Measurand,
    Reason,
    RegistrationStatus,
    RemoteStartStopStatus,
    UnitOfMeasure,
)
from outside_chargers import (
    ANSWER_S,
    admitted,
    charge_by_command,
    check,
    dial,
    node_folder,
    record_of_transaction,
    running,
    stamp,
)
from suite import Suite


@pytest.fixture(scope="module", autouse=True)
async def _all_admitted(suite: Suite) -> None:
    for station in suite.demo["stations"]:
        await admitted(suite, station)


# --- the ocpp package from PyPI ---------------------------------------------------------------


class PackagedCharger(ChargePoint):
    """One connector. Obeys remote commands after it has accepted them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.starts: asyncio.Queue[str] = asyncio.Queue(1)
        self.stops: asyncio.Queue[int] = asyncio.Queue(1)

    @on(Action.remote_start_transaction)
    async def accept_start(self, **_: Any) -> Any:
        return call_result.RemoteStartTransaction(status=RemoteStartStopStatus.accepted)

    @after(Action.remote_start_transaction)
    def started_by_command(self, id_tag: str, **_: Any) -> None:
        self.starts.put_nowait(id_tag)

    @on(Action.remote_stop_transaction)
    async def accept_stop(self, **_: Any) -> Any:
        return call_result.RemoteStopTransaction(status=RemoteStartStopStatus.accepted)

    @after(Action.remote_stop_transaction)
    def stopped_by_command(self, transaction_id: int, **_: Any) -> None:
        self.stops.put_nowait(transaction_id)

    async def ask(self, payload: Any) -> Any:
        """Raises what the package raises: for a CALLERROR, and for an answer against its schema."""
        return await self.call(payload, suppress=False)

    async def boot(self) -> None:
        boot = call.BootNotification(charge_point_model="packaged", charge_point_vendor="ocpp")
        assert (await self.ask(boot)).status == RegistrationStatus.accepted
        await self.tell_status(ChargePointStatus.available)
        told = datetime.fromisoformat((await self.ask(call.Heartbeat())).current_time)
        # Real ones set their clocks by it; neither package's schemas ask for a zone.
        assert abs(told - datetime.now(UTC)) < timedelta(seconds=ANSWER_S)

    async def tell_status(self, status: ChargePointStatus) -> None:
        await self.ask(
            call.StatusNotification(
                connector_id=1, error_code=ChargePointErrorCode.no_error, status=status
            )
        )

    async def begin(self, id_tag: str, meter_start: int, at: str) -> int:
        answer = await self.ask(
            call.StartTransaction(
                connector_id=1, id_tag=id_tag, meter_start=meter_start, timestamp=at
            )
        )
        assert answer.id_tag_info["status"] == AuthorizationStatus.accepted
        await self.tell_status(ChargePointStatus.charging)
        transaction_id: int = answer.transaction_id
        return transaction_id

    async def meter(self, transaction_id: int, register_kwh: str, at: str) -> None:
        sample = {
            "value": register_kwh,
            "measurand": Measurand.energy_active_import_register,
            "unit": UnitOfMeasure.kwh,
        }
        values = [{"timestamp": at, "sampled_value": [sample]}]
        await self.ask(
            call.MeterValues(connector_id=1, transaction_id=transaction_id, meter_value=values)
        )

    async def end(self, transaction_id: int, meter_stop: int, at: str, reason: Reason) -> None:
        await self.ask(
            call.StopTransaction(
                transaction_id=transaction_id, meter_stop=meter_stop, timestamp=at, reason=reason
            )
        )
        await self.tell_status(ChargePointStatus.available)

    async def obey(self) -> None:
        """Charge 300 Wh by command."""
        transaction_id = await self.begin(await self.starts.get(), 112_000, stamp())
        await self.meter(transaction_id, "112.25", stamp())
        assert await self.stops.get() == transaction_id
        await self.end(transaction_id, 112_300, stamp(), Reason.remote)


@asynccontextmanager
async def connected(suite: Suite, station: dict[str, Any]) -> AsyncIterator[PackagedCharger]:
    async with dial(suite, station) as socket, asyncio.TaskGroup() as group:
        charger = PackagedCharger(station["id"], socket, response_timeout=ANSWER_S)
        receiving = group.create_task(charger.start())
        yield charger
        receiving.cancel()


async def test_a_charger_made_of_the_ocpp_package_charges(suite: Suite) -> None:
    station, card = suite.demo["stations"][0], suite.demo["cards"][0]
    async with connected(suite, station) as charger:
        await charger.boot()
        assert (await charger.ask(call.Authorize(card))).id_tag_info["status"] == "Accepted"
        # 12 kWh in 40 minutes, before it came online.
        transaction_id = await charger.begin(card, 100_000, stamp(2520))
        await charger.meter(transaction_id, "106.0", stamp(1320))
        await charger.end(transaction_id, 112_000, stamp(120), Reason.local)
        record = await record_of_transaction(suite, station["id"], str(transaction_id))
        check(record, 12_000, gross="6.63")  # 12 kWh at 0.49, 40 min at 0.01, and 0.35

        async with asyncio.TaskGroup() as group:
            group.create_task(charger.obey())
            record = await charge_by_command(suite, station["id"], card)
        check(record, 300, gross="0.00")  # under a minute is free of charge


# --- the ocpp-rpc package from npm ------------------------------------------------------------


@pytest.fixture(scope="module")
def node_charger() -> Iterator[Path]:
    with node_folder() as folder:
        yield folder


async def test_a_charger_made_of_ocpp_rpc_in_strict_mode_charges(
    node_charger: Path, suite: Suite
) -> None:
    station, card = suite.demo["stations"][2], suite.demo["cards"][1]
    station_id = station["id"]
    async with running(node_charger, suite, station, "charger.js") as charger:
        told = await charger.line()
        record = await record_of_transaction(suite, station_id, told["transaction_id"])
        check(record, told["energy_wh"], gross="10.45")  # 20 kWh, 30 min, and 0.35

        assert await charger.line() == {"ready": True}
        record = await charge_by_command(suite, station_id, card)
        told = await charger.line()
        assert record["transaction_id"] == told["transaction_id"]
        check(record, told["energy_wh"], gross="0.00")  # under a minute is free of charge
        await charger.ended_well()
