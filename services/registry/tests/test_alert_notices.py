"""People are told of alerts by mail and webhook: bundled, bounded, signed, and of their end."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from partner_endpoint import Endpoint, http, partner_endpoint
from postbox import Postbox, mailbox, text_of
from stack import Issuer, Running, Servers, eventually

from common import signing, webhook_delivery
from common.events import OperatorChanged
from registry.alerts.alert_texts import LISTED_MAX

from .test_location_limits import place
from .watch import Watch, ago, watching


@pytest.fixture(scope="module")
async def watched(servers: Servers, issuer: Issuer) -> AsyncIterator[tuple[Running, Postbox]]:
    async with watching(servers, issuer) as made:
        yield made


@pytest.fixture
async def watch(watched: tuple[Running, Postbox]) -> AsyncIterator[Watch]:
    made = Watch(*watched)
    yield made
    await made.http.aclose()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with partner_endpoint() as made:
        made.answer = listening
        yield made


async def listening(_: dict[str, Any]) -> bytes:
    return http(b"", "204 No Content")


async def german(watch: Watch) -> None:
    operator = OperatorChanged(
        operator_id=watch.id, version=1, name="Nordstrom", time_zone="Europe/Berlin",
        currency="EUR", languages=("de", "en"),
    )  # fmt: skip
    await watch.handle(operator)


async def test_a_place_with_fifty_stations_that_is_gone_is_one_mail_and_its_return_another(
    watch: Watch, endpoint: Endpoint
) -> None:
    await german(watch)
    to, other = mailbox(), mailbox()
    rule = await watch.rule(
        name="Nachts", severity="critical", after_s=60, emails=[to, other], webhook_url=endpoint.url
    )
    location = await place(watch, "Parkhaus Nord")
    stations = await watch.stations(LISTED_MAX + 1, location_id=location)
    await watch.gone(*stations, since=ago(minutes=2))
    await watch.look()
    assert await watch.tell(bundle_s=60) == 0  # there may be more to come
    assert await watch.tell() == 1
    assert await watch.tell() == 0
    mail = await watch.box.next_to(to)
    await watch.box.next_to(other)
    assert mail["Subject"] == f"Kritisch: Nachts, {len(stations)} neu"
    assert mail["Content-Language"] == "de"
    text = text_of(mail).replace("\r\n", "\n")
    assert text.startswith("Nordstrom\nRegel „Nachts“\n")
    listed = [station for station in stations if f"- {station} Level 2, Parkhaus Nord: offline seit"
              in text]  # fmt: skip
    assert len(listed) == LISTED_MAX
    assert "- und 1 weitere" in text
    await watch.back(*stations[1:])
    await watch.look()
    assert await watch.tell() == 1
    assert (await watch.box.next_to(to, 2))["Subject"] == f"Kritisch: Nachts, {LISTED_MAX} behoben"
    await watch.back(stations[0])
    await watch.look()
    assert await watch.tell() == 1
    mail = await watch.box.next_to(to, 3)
    assert mail["Subject"] == f"Kritisch: {stations[0]} offline behoben"

    async def told() -> bool:
        return len(endpoint.asked) == 3

    await eventually(told)
    first, second, third = endpoint.asked
    assert {one["station_id"] for one in first["raised"]} == set(stations)
    assert (first["rule_id"], first["type"], first["more"]) == (rule["id"], "alerts", 0)
    assert {one["station_id"] for one in second["resolved"]} == set(stations[1:])
    assert [one["location"] for one in third["resolved"]] == ["Parkhaus Nord"]
    secret = rule["webhook_secret"].encode()
    for headers, body in endpoint.raw:
        assert signing.is_signed(secret, body, headers)
        assert not signing.is_signed(b"olw_another", body, headers)
    await watch.box.next_to(other, 3)
    assert len(watch.box.to(to)) == len(watch.box.to(other)) == 3


async def test_replicas_that_tell_at_once_tell_once(watch: Watch) -> None:
    to = mailbox()
    await watch.rule(after_s=0, emails=[to])
    await watch.gone(*await watch.stations(3), since=ago(minutes=1))
    await watch.look()
    assert sum(await asyncio.gather(*(watch.tell() for _ in range(4)))) == 1
    await watch.box.next_to(to)
    assert len(watch.box.to(to)) == 1


async def test_more_than_a_rule_may_tell_in_an_hour_waits_and_is_told_together(
    watch: Watch,
) -> None:
    to = mailbox()
    await watch.rule(after_s=0, emails=[to], notices_per_hour=2)
    stations = await watch.stations(5)
    for station in stations:
        await watch.gone(station, since=ago(minutes=1))
        await watch.look()
        await watch.tell()
    await watch.box.next_to(to, 2)
    assert len(watch.box.to(to)) == 2
    assert len(await watch.alerts(state="open")) == 5
    await watch.back(stations[4])  # never told: neither is its end
    await watch.look()
    an_hour_later = "update alert_rule set told = '{}' where operator_id = :id"
    await watch.execute(an_hour_later, id=watch.id)
    await watch.tell()
    mail = await watch.box.next_to(to, 3)
    assert "2 new" in mail["Subject"]
    assert all(station in text_of(mail) for station in stations[2:4])
    assert stations[4] not in text_of(mail)
    assert await watch.tell() == 0


async def test_reminders_go_out_until_somebody_acknowledges(watch: Watch) -> None:
    to = mailbox()
    await watch.rule(after_s=0, emails=[to], remind_after_s=3600)
    station = await watch.station()
    await watch.gone(station, since=ago(minutes=1))
    await watch.look()
    assert await watch.tell() == 1
    assert await watch.tell() == 0
    later = "update alert set told_at = told_at - interval '1 hour' where operator_id = :id"
    await watch.execute(later, id=watch.id)
    assert await watch.tell() == 1
    assert await watch.tell() == 0
    assert "Still open and not acknowledged (1)" in text_of(await watch.box.next_to(to, 2))
    [alert] = await watch.alerts()
    await watch.acknowledge(alert["id"])
    await watch.execute(later, id=watch.id)
    assert await watch.tell() == 0
    await watch.back(station)
    await watch.look()
    assert await watch.tell() == 1
    assert "resolved" in (await watch.box.next_to(to, 3))["Subject"]


async def test_in_quiet_hours_only_what_is_critical_is_told(watch: Watch) -> None:
    always = {"quiet_from": "00:00:00", "quiet_until": "23:59:59.999999"}
    calm, loud = mailbox(), mailbox()
    rule = await watch.rule(after_s=0, emails=[calm], **always)
    await watch.rule(after_s=0, emails=[loud], severity="critical", **always)
    await watch.gone(await watch.station(), since=ago(minutes=1))
    await watch.look()
    assert await watch.tell() == 1
    await watch.box.next_to(loud)
    path = f"/v1/alert-rules/{rule['id']}"
    awake = {"quiet_from": None, "quiet_until": None}
    changed = await watch.http.patch(path, json=awake, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert await watch.tell() == 1
    await watch.box.next_to(calm)
    assert (len(watch.box.to(calm)), len(watch.box.to(loud))) == (1, 1)


async def test_a_webhook_that_fails_or_hangs_is_tried_again_and_holds_up_no_other(
    watch: Watch, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_delivery, "LIMIT_S", 0.5)

    async def hanging(_: dict[str, Any]) -> bytes:
        await asyncio.sleep(30)
        return b""

    async def failing(_: dict[str, Any]) -> bytes:
        return http(b"", "500 Oh")

    answers = [failing, hanging, listening]

    async def worse_and_worse(asked: dict[str, Any]) -> bytes:
        return await answers[min(len(endpoint.asked), 3) - 1](asked)

    endpoint.answer = worse_and_worse
    async with partner_endpoint() as fine:
        fine.answer = listening
        rule = await watch.rule(after_s=0, webhook_url=endpoint.url)
        await watch.rule(after_s=0, webhook_url=fine.url)
        await watch.gone(await watch.station(), since=ago(minutes=1))
        await watch.look()
        assert await watch.tell() == 2

        async def delivered() -> bool:
            # What waits for its time is tried at once.
            await watch.execute(
                "update webhook_delivery set next_try_at = now() where operator_id = :id and "
                "delivered_at is null and last_error is not null and next_try_at > now() "
                "and next_try_at < now() + interval '40 seconds'", id=watch.id,
            )  # fmt: skip
            path = f"/v1/alert-rules/{rule['id']}"
            seen = (await watch.http.get(path)).json()
            return len(endpoint.asked) >= 3 and seen["webhook_failures"] == 0

        await eventually(delivered)
        # Once, though on a busy machine its answer may have come too late and been asked for again.
        assert len({one["id"] for one in fine.asked}) == 1
    assert len({one["id"] for one in endpoint.asked}) == 1
    for headers, body in endpoint.raw:
        assert signing.is_signed(rule["webhook_secret"].encode(), body, headers)
        assert json.loads(body)["rule_name"] == rule["name"]
