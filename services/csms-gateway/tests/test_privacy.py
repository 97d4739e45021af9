"""Erased people: their sessions stay, under a pseudonym, once nothing of them is under way."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from gateway_wire import OPERATOR, Gateway, Wire, connect_v2
from sqlalchemy import text
from stack import eventually

from common import privacy
from common.events import (
    ErasureReported,
    OperatorChanged,
    PersonalDataCollected,
    PersonalDataRequested,
    PersonErased,
    PersonsCard,
    RetentionReported,
)
from csms_gateway.privacy import sweep_once
from csms_gateway.tables import Message, Transaction, TransactionEvent

VERSIONS = ["ocpp1.6", "ocpp2.0.1"]


async def _charged(gateway: Gateway, uid: str, version: str) -> tuple[str, UUID]:
    """One whole session with this card; its station and the card's id."""
    gateway.identity.decisions[uid] = "Accepted"
    card = gateway.identity.card_id = uuid4()
    station = await gateway.add_station()
    if version == "ocpp1.6":
        async with gateway.connect(station) as socket:
            wire = Wire(socket)
            begun = await wire.start(uid)
            # As SetUserPrice has it (costmsg.py): JSON in a text.
            nested = {"vendorId": "V", "data": json.dumps({"idToken": uid})}
            await wire.send("DataTransfer", nested)
            await wire.stop(begun["transactionId"], idTag=uid)
    else:
        async with connect_v2(gateway, station) as socket:
            wire = Wire(socket)
            told = {"transaction": uuid4().hex, "evse": {"id": 1, "connectorId": 1}}
            await wire.event("Started", 0, "Authorized", token=uid, wh=1000, **told)
            await wire.event("Ended", 1, "StopAuthorized", token=uid, wh=1500, **told)
    async with gateway.service.app.state.parts.connections.begin("*") as db:
        assert await db.scalar(text("select count(*) from transaction where ended_at is not null"))

    async def logged() -> Any:
        wanted = 3 if version == "ocpp1.6" else 2
        return len([m for m in await gateway.rows(Message, station) if uid in m.frame]) >= wanted

    await eventually(logged)
    return station, card


async def _named(gateway: Gateway, station: str, uid: str) -> int:
    """How many rows about the station's sessions have this token."""
    rows: list[Any] = []
    for table in (Transaction, TransactionEvent, Message):
        rows += await gateway.rows(table, station)
    return len([row for row in rows if uid in str(vars(row))])


def _person(card: UUID, uid: str) -> dict[str, Any]:
    cards = (PersonsCard(card_id=card, uid=uid),)
    return {"operator_id": OPERATOR, "request_id": uuid4(), "user_id": uuid4(), "cards": cards}


@pytest.mark.parametrize("version", VERSIONS)
async def test_everything_about_a_card_is_told(gateway: Gateway, version: str) -> None:
    uid = f"A{uuid4().hex[:9]}".upper()
    station, card = await _charged(gateway, uid, version)
    other, _ = await _charged(gateway, f"B{uuid4().hex[:9]}".upper(), version)
    asked = PersonalDataRequested(**_person(card, uid))
    await gateway.service.publish(asked)
    parts = await gateway.told(PersonalDataCollected, request_id=asked.request_id)

    async def whole() -> Any:
        found = gateway.of(PersonalDataCollected, request_id=asked.request_id)
        return found if len(found) == found[0].parts else None

    parts = await eventually(whole)
    rows = [row for part in parts for row in part.rows]
    assert {row["station_id"] for row in rows} == {station} != {other}
    transfers = [row for row in rows if row.get("action") == "DataTransfer"]
    assert len(transfers) == (version == "ocpp1.6")
    files = {part.file for part in parts}
    assert files >= {"sessions", "messages"}
    assert ("session_events" in files) == (version != "ocpp1.6")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_settled_session_loses_its_token_and_nothing_else(
    gateway: Gateway, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "SETTLED", timedelta(0))
    uid = f"C{uuid4().hex[:9]}".upper()
    station, card = await _charged(gateway, uid, version)
    (before,) = await gateway.transactions(station_id=station)
    assert await _named(gateway, station, uid) >= 3
    erased = PersonErased(**_person(card, uid))
    await gateway.service.publish(erased)
    (report,) = await gateway.told(ErasureReported, request_id=erased.request_id)
    assert report.changed["sessions"] == 1
    assert report.changed["messages"] >= 2
    assert await _named(gateway, station, uid) == 0
    (after,) = await gateway.transactions(station_id=station)
    assert after.pop("id_token") == privacy.pseudonym(card)
    before.pop("id_token")
    assert after == before


async def test_what_is_under_way_is_forgotten_when_it_is_over(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = f"D{uuid4().hex[:9]}".upper()
    station, card = await _charged(gateway, uid, "ocpp1.6")
    erased = PersonErased(**_person(card, uid))
    await gateway.service.publish(erased)
    (report,) = await gateway.told(ErasureReported, request_id=erased.request_id)
    assert report.changed["sessions"] == 0
    connections = gateway.service.app.state.parts.connections
    await sweep_once(connections)
    assert await _named(gateway, station, uid) >= 3
    monkeypatch.setattr(privacy, "SETTLED", timedelta(0))
    await sweep_once(connections)
    assert await _named(gateway, station, uid) == 0
    async with connections.begin("*") as db:
        stone = text("select uid from tombstone where card_id = :card")
        assert await db.scalar(stone, {"card": card}) == uid
    monkeypatch.setattr(privacy, "TOKEN_KEPT", timedelta(0))
    await sweep_once(connections)
    async with connections.begin("*") as db:
        assert await db.scalar(stone, {"card": card}) is None


async def test_tokens_are_kept_as_long_as_the_operator_says(gateway: Gateway) -> None:
    uid = f"E{uuid4().hex[:9]}".upper()
    station, _ = await _charged(gateway, uid, "ocpp1.6")
    operator = OperatorChanged(
        operator_id=OPERATOR, version=int(uuid4().int % 2**30), name="x",
        time_zone="UTC", currency="EUR", personal_data_days=30,
    )  # fmt: skip
    await gateway.service.publish(operator)
    connections = gateway.service.app.state.parts.connections

    async def known() -> Any:
        async with connections.begin("*") as db:
            days = text("select personal_data_days from operator_name where operator_id = :id")
            return await db.scalar(days, {"id": OPERATOR}) == 30

    await eventually(known)
    await sweep_once(connections)
    assert await _named(gateway, station, uid) >= 3
    old = "update transaction set ended_at = ended_at - interval '31 days' where station_id = :one"
    await gateway.execute(old, one=station)
    await sweep_once(connections)
    assert await _named(gateway, station, uid) == 0

    # The service's own sweep may have come in between and found what other tests left.
    async def reported() -> bool:
        return 1 in {report.changed["sessions"] for report in gateway.of(RetentionReported)}

    await eventually(reported)
    assert {report.operator_id for report in gateway.of(RetentionReported)} == {OPERATOR}
