"""R1: nothing is accepted that is not stored."""

import asyncio
from typing import Any

import nats
from gateway_wire import Gateway, Wire, running_gateway
from stack import Issuer, Servers, allow_connections, eventually

from common.bus import stream_of
from common.events import Event, MeterValuesReported, SessionStarted


async def until_ok(call: Any) -> Any:
    """As a charger does: send it again until it is taken."""

    async def taken() -> Any:
        answer = await call()
        return answer if isinstance(answer, dict) else None

    async def wrapped() -> Any:
        answer = await taken()
        return None if answer is None else (answer,)

    (answer,) = await eventually(wrapped, 20)
    return answer


async def test_outages_are_told_to_the_charger_and_lose_nothing(
    servers: Servers, issuer: Issuer
) -> None:
    async with running_gateway(servers, issuer) as gateway:
        station = await gateway.add_station()
        url = str(gateway.service.app.state.parts.settings.database_url)
        async with gateway.connect(station) as socket:
            wire = Wire(socket)
            first = await wire.start(meterStart=1)
            await nats_away(gateway, wire, station)
            await allow_connections(servers, url, allowed=False)
            refused = await wire.start(meterStart=2)
            assert refused[0] == "InternalError"
            assert (await wire.stop(first["transactionId"], meterStop=300))[0] == "InternalError"
            # NATS alone is durable enough for meter values.
            number = first["transactionId"]
            assert await until_ok(lambda: wire.meter("77", transactionId=number)) == {}
            gateway.service.nats_server.kill()
            assert (await wire.meter("88"))[0] == "InternalError"
            await asyncio.to_thread(gateway.service.nats_server.start)
            await allow_connections(servers, url, allowed=True)
            assert await until_ok(lambda: wire.meter("99")) == {}
            second = await until_ok(lambda: wire.start(meterStart=2))
            assert second["transactionId"] != first["transactionId"]
            stop = await until_ok(lambda: wire.stop(first["transactionId"], meterStop=300))
            assert stop == {}
        rows = await gateway.transactions(station_id=station)
        assert [row["meter_stop_wh"] for row in rows] == [None, 300]

        async def both() -> bool:
            events = await kept(gateway, SessionStarted)
            return len({event.session_id for event in events}) == 2

        await eventually(both)


async def kept(gateway: Gateway, kind: type[Event]) -> list[Any]:
    """What NATS has: whoever only listens may come back later than the gateway, and miss it."""
    client = await nats.connect(gateway.service.nats_url)
    try:
        stream = client.jetstream()
        newest = (await stream.stream_info(stream_of(kind.subject))).state.last_seq
        found = []
        for number in range(1, newest + 1):  # none is old enough to be gone
            message = await stream.get_msg(stream_of(kind.subject), number)
            if message.subject == kind.subject and message.data:
                found.append(kind.model_validate_json(message.data))
    except nats.errors.Error:
        return []  # it has only just come back
    else:
        return found
    finally:
        await client.close()


async def nats_away(gateway: Gateway, wire: Wire, station: str) -> None:
    """Without NATS the outbox takes the readings; they arrive when it is back."""
    gateway.service.nats_server.kill()
    assert await wire.meter("55") == {}
    assert "currentTime" in await wire.send("Heartbeat", {})
    await asyncio.to_thread(gateway.service.nats_server.start)

    async def arrived() -> bool:
        reports = [r for e in await kept(gateway, MeterValuesReported) for r in e.reports]
        return any(r.station_id == station and str(r.samples[0].value) == "55" for r in reports)

    await eventually(arrived, 20)
