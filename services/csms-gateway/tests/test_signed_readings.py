"""Signed readings can be read again, by the transaction that they are the evidence of."""

import json
from typing import Any
from uuid import uuid4

from gateway_wire import EVSE, OPERATOR, V21, Gateway, Wire, connect_v2, stamp
from stack import eventually

OCMF = 'OCMF|{"FV":"1.0","RD":[{"RV":1.25}]}|{"SD":"' + "ab" * 300 + '"}'
KEY = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"


async def signed(
    gateway: Gateway, transaction_id: int, operator: Any = OPERATOR, **params: Any
) -> Any:
    async with gateway.service.as_(operator, "sessions:read") as api:
        return await api.get(f"/v1/transactions/{transaction_id}/signed-readings", params=params)


def sampled(value: str, **more: Any) -> dict[str, Any]:
    return {"timestamp": stamp(), "sampledValue": [{"value": value, **more}, {"value": "1250"}]}


async def test_signed_data_of_1_6_is_read_by_its_transaction(gateway: Gateway) -> None:
    station = await gateway.add_station()
    as_json = {"signedMeterData": "QUJD", "signingMethod": "ECDSA-secp256r1-SHA256",
               "encodingMethod": "OCMF", "publicKey": KEY}  # fmt: skip
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        number = (await wire.start())["transactionId"]
        begin = sampled(OCMF, format="SignedData", context="Transaction.Begin")
        meter = {"connectorId": 1, "transactionId": number, "meterValue": [begin]}
        assert await wire.send("MeterValues", meter) == {}
        assert await wire.send("MeterValues", meter | {"meterValue": [sampled("1300")]}) == {}
        end = sampled(json.dumps(as_json), format="SignedData", context="Transaction.End")
        assert await wire.stop(number, transactionData=[end]) == {}
    found = (await signed(gateway, number)).json()["items"]
    last, first = found
    assert first["payload"] == meter and (first["station_id"], first["evse_id"]) == (station, 1)
    assert first["readings"] == [
        {"timestamp": begin["timestamp"], "context": "Transaction.Begin", "measurand": None,
         "signed_data": OCMF, "signing_method": None, "encoding_method": None, "public_key": None}
    ]  # fmt: skip
    (reading,) = last["readings"]
    assert (reading["signed_data"], reading["encoding_method"]) == ("QUJD", "OCMF")
    assert (reading["public_key"], reading["context"]) == (KEY, "Transaction.End")
    page = (await signed(gateway, number, limit=1)).json()
    assert [one["id"] for one in page["items"]] == [last["id"]]
    page = (await signed(gateway, number, limit=1, cursor=page["next_cursor"])).json()
    assert (page["items"][0]["id"], page["next_cursor"]) == (first["id"], None)


async def test_J_a_signed_meter_value_of_2_x_is_read_by_its_transaction(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    value = {"signedMeterData": OCMF, "signingMethod": "", "encodingMethod": "OCMF",
             "publicKey": KEY}  # fmt: skip
    async with connect_v2(gateway, station, V21) as socket:
        wire = Wire(socket)
        for seq_no, kind in enumerate(("Started", "Updated", "Ended")):
            one = {"value": 1000 + seq_no, "context": "Sample.Periodic"}
            if kind != "Updated":
                one["signedMeterValue"] = value
            await wire.event(
                kind, seq_no, "Trigger", transaction=transaction, token="GOOD", evse=EVSE,
                meterValue=[{"timestamp": stamp(), "sampledValue": [one]}],
            )  # fmt: skip
    (row,) = await gateway.transactions(station_id=station)

    async def both() -> Any:
        items = (await signed(gateway, row["id"])).json()["items"]
        return items if len(items) == 2 else None

    end, begin = await eventually(both)
    assert (begin["payload"]["eventType"], end["payload"]["eventType"]) == ("Started", "Ended")
    (reading,) = end["readings"]
    assert (reading["signed_data"], reading["public_key"]) == (OCMF, KEY)
    assert (reading["signing_method"], reading["encoding_method"]) == (None, "OCMF")
    # R9: to another operator there is no such transaction.
    assert (await signed(gateway, row["id"], uuid4())).status_code == 404
