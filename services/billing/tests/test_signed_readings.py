"""Signed readings are kept as they came, verified by the registered key, and handed out again."""

import itertools
import xml.etree.ElementTree as ET
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from signing_meter import SigningMeter
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from billing.signed import keeping
from common.events import Event, Evse, SignedReading, SignedReadingsReported, StationChanged
from common.ids import uuid7
from services.billing.tests.conftest import READ, START, Billing

BEGIN, END = "Transaction.Begin", "Transaction.End"
POINT = (Encoding.X962, PublicFormat.UncompressedPoint)
ODD = 'OCMF|{"TT":"<b> & \\" \\u0000 5 €\r\n"}|{"SD":"00"}'


def station(name: str, key: str | None, version: int = 1, **more: Any) -> Any:
    """A function of the operator, which the test's billing has."""

    def made(billing: Billing) -> StationChanged:
        evses = (
            Evse(evse_id=1, code=None, max_power_w=22_000, public_key=key),
            Evse(evse_id=2, code=None, max_power_w=22_000),
        )
        facts: dict[str, Any] = {
            "operator_id": billing.operator_id, "station_id": name, "version": version,
            "name": "x", "location_id": None, "active": True, "evses": evses,
            "occurred_at": START - timedelta(days=30),
        }  # fmt: skip
        return StationChanged.model_validate(facts | more)

    return made


def told(
    billing: Billing, session_id: UUID, name: str, *texts: tuple[str, str], **more: Any
) -> SignedReadingsReported:
    """texts: what was signed, with its context; a minute one after the other."""
    readings = tuple(
        SignedReading(
            sampled_at=START + timedelta(minutes=minute), context=context, measurand="", data=data,
            signing_method=None, encoding_method=None, public_key=None,
        )
        for minute, (data, context) in enumerate(texts)
    )  # fmt: skip
    facts: dict[str, Any] = {
        "operator_id": billing.operator_id, "station_id": name, "evse_id": 1,
        "session_id": session_id, "message_id": uuid7(), "first": 0,
        "received_at": START + timedelta(hours=2), "readings": readings,
    }  # fmt: skip
    return SignedReadingsReported.model_validate(facts | more)


def new_station() -> str:
    return f"S-{uuid7().hex[-12:]}"


def pair(meter: SigningMeter, end: str = "11.000") -> list[tuple[str, str]]:
    """Of the 10 kWh of billing.ended, unless it ends otherwise."""
    return [(meter.record("B 1.000"), BEGIN), (meter.record(f"E {end}"), END)]


async def record_of(billing: Billing, session_id: UUID) -> dict[str, Any]:
    record = await billing.record(session_id)
    assert record is not None
    return record


async def signed(billing: Billing, session_id: UUID, **query: Any) -> dict[str, Any]:
    record = await record_of(billing, session_id)
    found: dict[str, Any] = await billing.get(f"records/{record['id']}/signed-readings", **query)
    return found


async def xml(billing: Billing, session_id: UUID) -> str:
    record = await record_of(billing, session_id)
    headers = billing.issuer.headers(billing.operator_id, *READ) | {"Accept": "application/xml"}
    answer = await billing.http.get(f"/v1/records/{record['id']}/signed-readings", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/xml")
    return answer.content.decode()


async def incidents(billing: Billing, session_id: UUID) -> dict[str, str]:
    found = (await billing.get(f"sessions/{session_id}"))["incidents"]
    return {one["kind"]: one["detail"] for one in found}


async def test_in_whatever_order_they_come_the_signed_readings_are_verified(
    billing: Billing,
) -> None:
    await billing.tariff()
    for order in itertools.permutations(range(4)):
        meter, name, session = SigningMeter(), new_station(), uuid7()
        begin, end = pair(meter)
        events: list[Event] = [
            station(name, meter.key)(billing),
            told(billing, session, name, begin),
            told(billing, session, name, end),
            billing.ended(session_id=session, station_id=name),
        ]
        for place in order:
            await billing.handle(events[place])
        for again in (events[1], events[2]):
            await billing.handle(again.model_copy(update={"id": uuid7()}))
        # A key that comes last is noticed by the loop.
        await keeping.check_open(billing.app.state.connections)
        found = await signed(billing, session)
        assert (found["signature"], found["why"]) == ("verified", []), order
        assert (await record_of(billing, session))["signature"] == "verified"
        assert (found["energy_wh"], float(found["signed_energy_wh"])) == (10_000, 10_000)
        assert found["public_key"] == meter.key
        kept = {(one["data"], one["context"]) for one in found["items"]}
        assert kept == {begin, end} and len(found["items"]) == 2
        assert await incidents(billing, session) == {}


async def test_readings_that_prove_something_else_send_the_session_to_review(
    billing: Billing,
) -> None:
    await billing.tariff()
    meter, name, session = SigningMeter(), new_station(), uuid7()
    await billing.handle(
        station(name, meter.key)(billing),
        billing.started(session_id=session, station_id=name),
        told(billing, session, name, *pair(meter, end="9.000")),
    )
    assert await incidents(billing, session) == {}  # it still runs
    await billing.handle(billing.ended(session_id=session, station_id=name))
    found = await signed(billing, session)
    assert found["signature"] == "failed"
    assert found["why"] == ["the meter has signed 8000 Wh, 10000 Wh are billed"]
    assert await incidents(billing, session) == {"signature_invalid": found["why"][0]}
    assert (await record_of(billing, session))["review"] == "pending"


async def test_readings_that_come_after_the_record_still_send_it_to_review(
    billing: Billing,
) -> None:
    await billing.tariff()
    meter, name, session = SigningMeter(), new_station(), uuid7()
    begin, (end, _) = pair(meter)
    await billing.handle(
        station(name, meter.key)(billing), told(billing, session, name, begin),
        billing.ended(session_id=session, station_id=name),
    )  # fmt: skip
    found = await signed(billing, session)
    assert (found["signature"], found["why"]) == (
        "not_comparable", ["no signed reading of the end"],
    )  # fmt: skip
    assert (await record_of(billing, session))["review"] == "none"
    broken = end.replace("11.000", "11.001")
    await billing.handle(told(billing, session, name, (broken, END)))
    assert (await signed(billing, session))["signature"] == "failed"
    assert "signature_invalid" in await incidents(billing, session)
    assert (await record_of(billing, session))["review"] == "pending"


async def test_the_key_counts_that_was_registered_when_the_session_began(
    billing: Billing,
) -> None:
    await billing.tariff()
    old, new, name = SigningMeter(), SigningMeter(), new_station()
    # In any order; a change of something else keeps the key.
    await billing.handle(
        station(name, new.key, 5, occurred_at=START + timedelta(hours=5))(billing),
        station(name, old.key, 3)(billing),
        station(name, old.key, 4, active=False)(billing),
        station(name, None, 2, occurred_at=START - timedelta(days=60))(billing),
    )
    rows = await billing.stored(
        "select version, public_key from meter_key where station_id = $1 order by version", name
    )
    assert [(row["version"], row["public_key"]) for row in rows][-1] == (5, new.key)
    verdicts = {}
    for meter, hour in ((old, 0), (new, 6), (old, 6)):
        session, start = uuid7(), START + timedelta(hours=hour)
        await billing.handle(
            told(billing, session, name, *pair(meter)),
            billing.ended(
                session_id=session, station_id=name, started_at=start,
                ended_at=start + timedelta(hours=1),
            ),
        )  # fmt: skip
        verdicts[meter.key, hour] = (await signed(billing, session))["signature"]
    assert verdicts == {(old.key, 0): "verified", (new.key, 6): "verified", (old.key, 6): "failed"}


async def test_without_a_key_nothing_is_verified_until_one_is_registered(billing: Billing) -> None:
    await billing.tariff()
    meter, name, session, elsewhere = SigningMeter(), new_station(), uuid7(), uuid7()
    await billing.handle(
        station(name, None)(billing),
        told(billing, session, name, *pair(meter)),
        billing.ended(session_id=session, station_id=name),
        told(billing, elsewhere, name, *pair(meter), evse_id=2),
        billing.ended(session_id=elsewhere, station_id=name, evse_id=2),
    )
    for one in (session, elsewhere):
        assert (await signed(billing, one))["signature"] == "no_key"
    assert await incidents(billing, session) == {}
    await billing.handle(station(name, meter.key, 2, occurred_at=START + timedelta(1))(billing))
    assert (await signed(billing, session))["signature"] == "pending"
    await keeping.check_open(billing.app.state.connections)
    assert (await signed(billing, session))["signature"] == "verified"
    assert (await signed(billing, elsewhere))["signature"] == "no_key"


async def test_an_end_and_readings_that_do_not_see_each_other_are_found_by_the_loop(
    billing: Billing,
) -> None:
    """Two replicas at the same moment."""
    await billing.tariff()
    meter, name, session = SigningMeter(), new_station(), uuid7()
    await billing.handle(station(name, meter.key)(billing))
    event = told(billing, session, name, *pair(meter))
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        await keeping.keep_signed(db, event)
        await billing.handle(billing.ended(session_id=session, station_id=name))
    assert (await record_of(billing, session))["signature"] == "pending"
    await keeping.check_open(billing.app.state.connections)
    assert (await record_of(billing, session))["signature"] == "verified"


async def test_a_reading_of_another_session_proves_nothing_here(billing: Billing) -> None:
    await billing.tariff()
    meter, name, first, second = SigningMeter(), new_station(), uuid7(), uuid7()
    texts = pair(meter)
    await billing.handle(station(name, meter.key)(billing))
    for session in (first, second):
        await billing.handle(
            told(billing, session, name, *texts),
            billing.ended(session_id=session, station_id=name),
        )
    assert (await signed(billing, first))["signature"] == "verified"
    found = await signed(billing, second)
    assert found["signature"] == "failed" and "another session" in found["why"][0]


async def test_a_session_without_signed_readings_has_none(billing: Billing) -> None:
    await billing.tariff()
    session = uuid7()
    await billing.handle(billing.ended(session_id=session))
    found = await signed(billing, session)
    assert (found["signature"], found["items"], found["next_cursor"]) == ("none", [], None)
    assert (await record_of(billing, session))["signature"] == "none"
    assert list(ET.fromstring(await xml(billing, session))) == []


@pytest.mark.parametrize("number", ["17", "4f1c-of-a-station-of-2.x"])
async def test_the_file_for_the_transparency_software_has_the_very_bytes(
    billing: Billing, number: str
) -> None:
    await billing.tariff()
    meter, name, session = SigningMeter(), new_station(), uuid7()
    begin, end = pair(meter)
    bare = (meter.record("C 5.000"), "")
    await billing.handle(
        station(name, meter.private.public_key().public_bytes(*POINT).hex())(billing),
        told(billing, session, name, begin, bare, (ODD, "Sample.Periodic"), end, begin),
        billing.ended(session_id=session, station_id=name, transaction_id=number),
    )
    root = ET.fromstring(await xml(billing, session))
    assert root.tag == "values" and {one.tag for one in root} == {"value"}
    found = []
    for value in root:
        data, key = value.find("signedData"), value.find("publicKey")
        assert data is not None and key is not None and key.text is not None
        assert (data.get("format"), data.get("encoding")) == ("OCMF", "plain")
        assert (key.get("encoding"), bytes.fromhex(key.text)) == ("hex", meter.der)
        assert value.get("transactionId") == (number if number.isdigit() else "1")
        found.append((data.text, value.get("context")))
    assert found == [begin, (bare[0], None), (ODD, "Sample.Periodic"), end]


async def test_other_formats_are_kept_and_said_to_be_unverified(billing: Billing) -> None:
    await billing.tariff()
    meter, name, session = SigningMeter(), new_station(), uuid7()
    alfen, binary = "AP;0;3;ALIJVWBIHEIWSHAAA2W2V7OYYDCNQAAFACRC2I;", "\x1b\x1b\x01 sml"
    await billing.handle(
        station(name, meter.key)(billing),
        told(billing, session, name, (alfen, BEGIN), (binary, END)),
        billing.ended(session_id=session, station_id=name),
    )
    found = await signed(billing, session)
    assert found["signature"] == "not_comparable" and "is OCMF" in found["why"][0]
    assert [one["data"] for one in found["items"]] == [alfen, binary]
    first, second = ET.fromstring(await xml(billing, session))
    data = [one.find("signedData") for one in (first, second)]
    assert data[0] is not None and data[1] is not None
    assert (data[0].text, data[0].get("format")) == (alfen, "ALFEN")
    assert (data[1].text, data[1].get("encoding")) == ("GxsBIHNtbA==", "base64")


async def test_of_thousands_in_a_message_each_is_kept_and_paged(billing: Billing) -> None:
    await billing.tariff()
    meter, name, session = SigningMeter(), new_station(), uuid7()
    texts = [(f"AP;{number}", "") for number in range(7_000)]
    huge = "OCMF|" + "[" * 400_000
    message = uuid7()
    await billing.handle(
        station(name, meter.key)(billing),
        told(billing, session, name, *texts[:4_000], message_id=message),
        told(billing, session, name, *texts[4_000:], message_id=message, first=4_000),
        told(billing, session, name, (huge, END)),
        billing.ended(session_id=session, station_id=name),
    )
    page = await signed(billing, session, limit=500)
    assert [one["data"] for one in page["items"]] == [data for data, _ in texts[:500]]
    more = await signed(billing, session, limit=500, cursor=page["next_cursor"])
    assert more["items"][0]["data"] == "AP;500"
    assert (more["signature"], more["signed_energy_wh"]) == ("failed", None)
    (row,) = await billing.stored(
        "select count(*) as n, max(length(data)) as most from signed_reading where session_id = $1",
        session,
    )
    assert (row["n"], row["most"]) == (7_001, len(huge))


async def test_nobody_changes_what_was_signed(billing: Billing) -> None:
    meter, name, session = SigningMeter(), new_station(), uuid7()
    await billing.handle(
        station(name, meter.key)(billing), told(billing, session, name, *pair(meter))
    )
    for statement in (
        "update signed_reading set data = 'x'",
        "delete from signed_reading",
        "update meter_key set public_key = 'x'",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with billing.app.state.connections.begin(billing.operator_id) as db:
                await db.execute(text(statement))


async def test_R9_signed_readings_are_their_operators_alone(billing: Billing) -> None:
    await billing.tariff()
    meter, name, session, place = SigningMeter(), new_station(), uuid7(), uuid7()
    await billing.handle(
        station(name, meter.key, location_id=place)(billing),
        told(billing, session, name, *pair(meter)),
        billing.ended(session_id=session, station_id=name),
    )
    path = f"/v1/records/{(await record_of(billing, session))['id']}/signed-readings"
    for headers in (
        billing.issuer.headers(uuid7(), *READ),
        billing.issuer.headers(billing.operator_id, *READ, locations=[str(uuid7())]),
    ):
        assert (await billing.http.get(path, headers=headers)).status_code == 404
    mine = billing.issuer.headers(billing.operator_id, *READ, locations=[str(place)])
    found = (await billing.http.get(path, headers=mine)).json()
    assert (found["signature"], len(found["items"])) == ("verified", 2)
    without = billing.issuer.headers(billing.operator_id, "sessions:read")
    assert (await billing.http.get(path, headers=without)).status_code == 403
