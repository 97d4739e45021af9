"""Signed readings of a session are told to the others byte for byte, once, before its end."""

import asyncio
import json
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import EVSE, Gateway, Wire, connect_v2, stamp
from stack import eventually

from common.events import SessionEnded, SessionStarted, SignedReadingsReported
from csms_gateway.frames import clean
from csms_gateway.signed_readings_told import tell_untold
from csms_gateway.tables import SignedMessage

# Escapes within escapes, what is no ASCII, and blanks at the end: all of it is signed.
ODD = r'OCMF|{"TT":"5 €|kWh \u0000 \\ \" ß","RD":[]}|{"SD":"00"}' + " \t"
LONG = 'OCMF|{"TT":"' + "x" * 3000 + '","RD":[]}|{"SD":"' + "ab" * 70 + '"}'
KEY = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"


def signed(value: str, context: str, at: str) -> dict[str, Any]:
    one = {"value": value, "format": "SignedData", "context": context}
    return {"timestamp": at, "sampledValue": [{"value": "1250"}, one]}


async def test_signed_data_of_1_6_is_told_as_it_came_and_before_the_end(gateway: Gateway) -> None:
    station = await gateway.add_station()
    begin_at, end_at = stamp(), stamp()
    typed = {"signedMeterData": LONG, "signingMethod": "ECDSA-secp256r1-SHA256",
             "encodingMethod": "OCMF", "publicKey": KEY}  # fmt: skip
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        number = (await wire.start())["transactionId"]
        begin = {"connectorId": 1, "transactionId": number,
                 "meterValue": [signed(ODD, "Transaction.Begin", begin_at)]}  # fmt: skip
        for _ in range(2):  # the first answer was lost
            assert await wire.send("MeterValues", begin) == {}
        data = [signed(ODD, "Transaction.Begin", begin_at),
                signed(json.dumps(typed), "Transaction.End", end_at)]  # fmt: skip
        for _ in range(2):
            assert await wire.stop(number, timestamp=end_at, transactionData=data) == {}
    (end,) = await gateway.told(SessionEnded, station_id=station)
    first, last = await gateway.told(SignedReadingsReported, 2, station_id=station)
    assert gateway.events.index(last) < gateway.events.index(end)
    assert {first.session_id, last.session_id} == {end.session_id}
    assert first.message_id != last.message_id
    (one,) = first.readings
    assert (one.data, one.context, one.encoding_method) == (ODD, "Transaction.Begin", None)
    assert one.sampled_at == datetime.fromisoformat(begin_at)
    again, two = last.readings
    assert again.data == ODD
    assert (two.data, two.signing_method) == (LONG, "ECDSA-secp256r1-SHA256")
    assert (two.encoding_method, two.public_key) == ("OCMF", KEY)
    await asyncio.sleep(0.3)
    assert len(gateway.of(SignedReadingsReported, station_id=station)) == 2
    kept = await gateway.rows(SignedMessage, station)
    assert {row.id for row in kept} == {first.message_id, last.message_id}


async def test_J_signed_meter_values_of_2_x_are_told_as_they_came(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    value = {"signedMeterData": ODD, "signingMethod": "", "encodingMethod": "OCMF",
             "publicKey": ""}  # fmt: skip
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        for seq_no, kind in enumerate(("Started", "Ended")):
            one = {
                "value": 1000 + seq_no,
                "context": "Transaction.Begin",
                "signedMeterValue": value,
            }
            for _ in range(2):
                await wire.event(
                    kind, seq_no, "Trigger", transaction=transaction, token="GOOD", evse=EVSE,
                    timestamp="2026-03-02T10:00:00Z", offline=True,
                    meterValue=[{"timestamp": "2026-03-02T10:00:00Z", "sampledValue": [one]}],
                )  # fmt: skip
    (end,) = await gateway.told(SessionEnded, station_id=station)
    found = await gateway.told(SignedReadingsReported, 2, station_id=station)
    assert gateway.events.index(found[1]) < gateway.events.index(end)
    for event in found:
        (one,) = event.readings
        assert (event.session_id, event.evse_id, event.first) == (end.session_id, 1, 0)
        assert (one.data, one.signing_method, one.public_key) == (ODD, None, None)
        assert one.sampled_at.isoformat() == "2026-03-02T10:00:00+00:00"
    await asyncio.sleep(0.3)
    assert len(gateway.of(SignedReadingsReported, station_id=station)) == 2


async def test_a_message_that_is_all_signed_readings_is_told_in_parts(gateway: Gateway) -> None:
    """NATS takes 1 MiB; 7,000 short readings are 300 KiB as the charger says them."""
    station = await gateway.add_station()
    texts = [f"AP;{number}" for number in range(7000)]
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        number = (await wire.start())["transactionId"]
        values = [{"value": text, "format": "SignedData"} for text in texts]
        await wire.meter(
            transactionId=number, meterValue=[{"timestamp": stamp(), "sampledValue": values}]
        )
    (start,) = await gateway.told(SessionStarted, station_id=station)

    def told() -> list[str]:
        parts = gateway.of(SignedReadingsReported, session_id=start.session_id)
        parts.sort(key=lambda part: part.first)
        place = 0
        for part in parts:
            assert part.first == place
            place += len(part.readings)
        return [one.data for part in parts for one in part.readings]

    async def all_of_them() -> bool:
        return told() == texts

    await eventually(all_of_them)
    parts = gateway.of(SignedReadingsReported, session_id=start.session_id)
    assert len(parts) > 1
    assert max(len(part.model_dump_json()) for part in parts) < 500_000


async def test_a_signed_reading_of_no_session_is_kept_and_not_told(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        one = signed(ODD, "Sample.Clock", stamp())
        await Wire(socket).send("MeterValues", {"connectorId": 1, "meterValue": [one]})
        replica = gateway.service.app.state.beside.get(station).gateway
        await tell_untold(replica)
    assert len(await gateway.rows(SignedMessage, station)) == 1
    await asyncio.sleep(0.2)
    assert gateway.of(SignedReadingsReported, station_id=station) == []


async def test_what_a_release_before_kept_without_telling_is_told_once(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        number = (await wire.start())["transactionId"]
        begin = signed(LONG, "Transaction.Begin", "2026-03-02T10:00:00Z")
        meter = {"connectorId": 1, "transactionId": number, "meterValue": [begin]}
        assert await wire.send("MeterValues", meter) == {}
        (told,) = await gateway.told(SignedReadingsReported, station_id=station)
        # As if the release before had kept it.
        values = {"station": station}
        await gateway.execute(
            "update signed_message set told = false where station_id = :station", **values
        )
        replica = gateway.service.app.state.beside.get(station).gateway
        for _ in range(2):
            await tell_untold(replica)
        again = (await gateway.told(SignedReadingsReported, 2, station_id=station))[1]
        await asyncio.sleep(0.2)
        assert len(gateway.of(SignedReadingsReported, station_id=station)) == 2
    same = {"session_id", "message_id", "first", "station_id", "evse_id", "operator_id"}
    assert again.model_dump(include=same) == told.model_dump(include=same)
    assert [one.data for one in again.readings] == [LONG]
    # Nobody knows any more whether the charger's clock was right: it is believed.
    assert again.readings[0].sampled_at.isoformat() == "2026-03-02T10:00:00+00:00"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r'"a\u0000b"', r'"a\ufffdb"'),
        (r'"\u0000\u0000"', r'"\ufffd\ufffd"'),
        (r'"a\\u0000b"', r'"a\\u0000b"'),
        (r'"\\\u0000"', r'"\\\ufffd"'),
        (r'"\\\\u0000"', r'"\\\\u0000"'),
    ],
)
def test_only_a_nul_is_taken_out_of_a_message(sent: str, read: str) -> None:
    assert clean(sent) == read
    assert "\0" not in json.loads(clean(sent))
