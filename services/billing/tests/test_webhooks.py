"""Webhooks: kept, told, signed, tried again, and no way into what is another's."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from partner_endpoint import Endpoint, http, partner_endpoint
from stack import eventually

from billing import for_partners
from common import signing, webhook_delivery
from common.authorize import Holder
from common.clock import now
from common.events import ChangesNoted, PartnerChanged, SessionEnded, SessionStarted
from common.ids import uuid7
from common.webhook_delivery import (
    FAILURES_MAX,
    GIVEN_UP_AFTER,
    LEFT_ALONE_MAX,
    left_alone,
    pause,
)
from services.billing.tests.conftest import Billing

KINDS = ["record.closed", "session.ended", "session.started"]
SCOPES = ("webhooks:read", "webhooks:write", "partner-sessions:read")


async def listening(_: dict[str, Any]) -> bytes:
    return http(b"", "204 No Content")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with partner_endpoint() as made:
        made.answer = listening
        yield made


@pytest.fixture
async def partner(billing: Billing) -> UUID:
    partner_id = uuid7()
    await billing.handle(_partner(billing, partner_id, 1, active=True))
    await billing.tariff()
    return partner_id


def _partner(billing: Billing, partner_id: UUID, version: int, *, active: bool) -> PartnerChanged:
    return PartnerChanged(
        operator_id=billing.operator_id, partner_id=partner_id, version=version, name="Cambio",
        active=active,
    )  # fmt: skip


def as_staff(billing: Billing, **more: Any) -> httpx.AsyncClient:
    return billing.as_(billing.operator_id, *SCOPES, **more)


def as_partner(billing: Billing, partner: UUID) -> httpx.AsyncClient:
    return billing.as_(billing.operator_id, *SCOPES, role="partner", partner_id=str(partner))


async def made(client: httpx.AsyncClient, url: str, *kinds: str, **more: Any) -> dict[str, Any]:
    body = {"url": url, "kinds": list(kinds or KINDS), **more}
    answer = await client.post("/v1/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def session(billing: Billing, partner: UUID | None) -> tuple[SessionStarted, SessionEnded]:
    same: dict[str, Any] = {"session_id": uuid7(), "holder": Holder(partner_id=partner)}
    return billing.started(**same), billing.ended(**same)


async def charged(billing: Billing, partner: UUID | None) -> UUID:
    started, ended = session(billing, partner)
    await billing.handle(started, ended)
    return started.session_id


async def test_a_partner_is_told_of_its_sessions_signed_and_once(
    billing: Billing, partner: UUID, endpoint: Endpoint
) -> None:
    async with as_partner(billing, partner) as theirs:
        hook = await made(theirs, endpoint.url)
        assert hook["partner_id"] == str(partner)
        await charged(billing, None)
        await charged(billing, uuid7())
        session_id = await charged(billing, partner)

        async def told() -> bool:
            return len(endpoint.asked) >= 3

        await eventually(told)
        by_type = {one["type"]: one for one in endpoint.asked}
        assert sorted(by_type) == KINDS
        assert by_type["session.started"]["data"]["state"] == "running"
        ended = by_type["session.ended"]["data"]
        assert (ended["id"], ended["energy_wh"]) == (str(session_id), 10_000)
        record = by_type["record.closed"]["data"]
        assert (record["session_id"], record["total_gross"]) == (str(session_id), "4.90")
        for headers, body in endpoint.raw:
            assert signing.is_signed(hook["secret"].encode(), body, headers)
            assert not signing.is_signed(hook["secret"].encode(), body + b" ", headers)
        # Events that come again tell nothing again.
        again = {"session_id": session_id, "holder": Holder(partner_id=partner)}
        await billing.handle(billing.started(**again), billing.ended(**again))
        path = f"/v1/webhooks/{hook['id']}/deliveries"

        async def delivered() -> bool:  # noted a moment after it was asked
            waiting = await theirs.get(path, params={"state": "waiting"})
            return bool(waiting.json()["items"] == [])

        await eventually(delivered)
        listed = (await theirs.get(path)).json()["items"]
        assert [json.loads(one["body"])["id"] for one in listed] == [one["id"] for one in listed]
        assert [one["tries"] for one in listed] == [1, 1, 1]
    assert len(endpoint.asked) == 3


async def test_what_fails_is_tried_again_and_a_dead_address_is_left_alone(
    billing: Billing, partner: UUID, endpoint: Endpoint
) -> None:
    answers = [http(b"", "500 Oh"), http(b"", "302 Found", "Location: /x"), b"rubbish\r\n\r\n"]

    async def failing(_: dict[str, Any]) -> bytes:
        return answers[len(endpoint.asked) % 3]

    endpoint.answer = failing
    async with as_staff(billing) as staff:
        hook = await made(staff, endpoint.url, "record.closed", partner_id=str(partner))
        # At once: tried together, none is tried again before all have failed.
        await billing.handle(
            *(one for _ in range(FAILURES_MAX) for one in session(billing, partner))
        )
        path = f"/v1/webhooks/{hook['id']}"

        async def paused() -> Any:
            return (await staff.get(path)).json()["paused_until"]

        await eventually(paused)
        seen = len(endpoint.asked)
        assert seen >= FAILURES_MAX
        waiting = (await staff.get(f"{path}/deliveries", params={"state": "waiting"})).json()
        assert len(waiting["items"]) == FAILURES_MAX
        errors = {one["last_error"] for one in waiting["items"]}
        assert any("redirect" in error for error in errors), errors
        assert any("500" in error for error in errors), errors
        # Mended, it is told all that it missed, and in the end of nothing twice.
        endpoint.answer = listening
        mended = await staff.patch(path, json={"active": True}, headers={"If-Match": "*"})
        assert (mended.json()["failures"], mended.json()["paused_until"]) == (0, None)

        async def delivered() -> bool:
            found = await staff.get(f"{path}/deliveries", params={"state": "delivered"})
            return len(found.json()["items"]) == FAILURES_MAX

        await eventually(delivered, 20)
        assert (await staff.get(path)).json()["failures"] == 0
    assert len({one["id"] for one in endpoint.asked}) == FAILURES_MAX


async def test_after_three_days_it_is_given_up_and_sent_again_by_hand(
    billing: Billing, partner: UUID, endpoint: Endpoint
) -> None:
    async def failing(_: dict[str, Any]) -> bytes:
        return http(b"", "410 Gone")

    endpoint.answer = failing
    async with as_staff(billing) as staff:
        hook = await made(staff, endpoint.url, "record.closed")
        path = f"/v1/webhooks/{hook['id']}/deliveries"
        await charged(billing, partner)

        async def tried() -> Any:
            (one,) = (await staff.get(path)).json()["items"]
            return one if one["last_status"] == 410 else None

        one = await eventually(tried)
        again = f"{path}/{one['id']}/again"
        assert (await staff.post(again)).status_code == 409
        old = now() - GIVEN_UP_AFTER - timedelta(minutes=1)
        await billing.stored(
            "update webhook_delivery set wanted_at = $2, next_try_at = now() where id = $1",
            UUID(one["id"]), old,
        )  # fmt: skip

        async def given_up() -> Any:
            return (await staff.get(path, params={"state": "given_up"})).json()["items"]

        await eventually(given_up)
        endpoint.answer = listening
        assert (await staff.post(again)).status_code == 202

        async def delivered() -> Any:
            return (await staff.get(path, params={"state": "delivered"})).json()["items"]

        await eventually(delivered)
        assert (await staff.post(again)).status_code == 409


async def test_a_webhook_that_hangs_holds_up_no_other(
    billing: Billing, partner: UUID, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is given up long after the others must have been told.
    monkeypatch.setattr(webhook_delivery, "LIMIT_S", 60.0)

    async def hanging(_: dict[str, Any]) -> bytes:
        await asyncio.sleep(30)
        return http(b"")

    async with partner_endpoint() as dead, as_staff(billing) as staff:
        dead.answer = hanging
        hangs = await made(staff, dead.url)
        await made(staff, endpoint.url)
        for _ in range(4):
            await charged(billing, partner)

        async def told() -> bool:
            return len(endpoint.asked) == 12

        await eventually(told)
        assert 1 <= len(dead.asked) <= 5
        # What waits for it is not to come to another test, which may get its port.
        assert (await staff.delete(f"/v1/webhooks/{hangs['id']}")).status_code == 204


async def test_neither_partners_nor_operators_reach_into_what_is_anothers(
    billing: Billing, partner: UUID, endpoint: Endpoint
) -> None:
    other_partner = uuid7()
    await billing.handle(_partner(billing, other_partner, 1, active=True))
    rival = Billing.of(billing)
    async with (
        as_staff(billing) as staff,
        as_partner(billing, partner) as theirs,
        as_partner(billing, other_partner) as others,
        as_staff(rival) as foreign,
    ):
        own = await made(staff, endpoint.url)
        hook = await made(theirs, endpoint.url)
        # Whatever it says, a partner's webhook is that partner's.
        sly = await made(theirs, endpoint.url + "/2", partner_id=str(other_partner))
        assert sly["partner_id"] == str(partner)
        assert len((await staff.get("/v1/webhooks")).json()["items"]) == 3
        assert len((await theirs.get("/v1/webhooks")).json()["items"]) == 2
        for client in (others, foreign):
            assert (await client.get("/v1/webhooks")).json()["items"] == []
            for one in (own, hook):
                path, match = f"/v1/webhooks/{one['id']}", {"If-Match": "*"}
                for answer in (
                    await client.get(path),
                    await client.patch(path, json={"active": False}, headers=match),
                    await client.delete(path),
                    await client.post(f"{path}/secret"),
                    await client.get(f"{path}/deliveries"),
                    await client.post(f"{path}/deliveries/{uuid7()}/again"),
                ):
                    assert answer.status_code == 404, answer.text
        assert (await theirs.get(f"/v1/webhooks/{own['id']}")).status_code == 404
        foreigners = {"url": endpoint.url, "kinds": KINDS, "partner_id": str(partner)}
        refused = await foreign.post("/v1/webhooks", json=foreigners)
        assert refused.json()["type"].endswith("unknown-partner")
    async with as_staff(billing, locations=[str(uuid7())]) as limited:
        assert (await limited.get("/v1/webhooks")).status_code == 403
        assert (await limited.post("/v1/webhooks", json=foreigners)).status_code == 403


async def test_what_is_no_webhook_is_refused_and_the_secret_is_told_once(
    billing: Billing, partner: UUID, endpoint: Endpoint
) -> None:
    async with as_staff(billing) as staff:
        faults: list[tuple[dict[str, Any], str]] = [
            ({"url": "ftp://x.example/"}, "webhook-url-refused"),
            ({"url": "https://u:p@x.example/"}, "webhook-url-refused"),
            ({"url": ""}, "invalid-request"),
            ({"kinds": []}, "invalid-request"),
            ({"kinds": ["everything"]}, "invalid-request"),
        ]
        for fault, kind in faults:
            body = {"url": endpoint.url, "kinds": KINDS} | fault
            answer = await staff.post("/v1/webhooks", json=body)
            assert answer.status_code == 422, answer.text
            assert answer.json()["type"].endswith(kind), answer.text
        hook = await made(staff, endpoint.url)
        path = f"/v1/webhooks/{hook['id']}"
        twice = await staff.post("/v1/webhooks", json={"url": endpoint.url, "kinds": KINDS})
        assert (twice.status_code, twice.json()["type"][-17:]) == (409, "webhook-url-taken")
        assert "secret" not in (await staff.get(path)).json()
        renewed = (await staff.post(f"{path}/secret")).json()["secret"]
        assert renewed != hook["secret"]
        stored = await billing.stored("select secret from webhook where id = $1", UUID(hook["id"]))
        assert renewed.encode() not in stored[0]["secret"]

        async def noted() -> Any:
            # They are told and gone from the table within moments.
            told = [one for one in await billing.told(ChangesNoted) if hook["id"] in str(one)]
            return told or None

        notes = await eventually(noted)
        assert hook["secret"] not in str(notes)
        await charged(billing, partner)

        async def told() -> bool:
            return len(endpoint.raw) == 3

        await eventually(told)
        for headers, sent in endpoint.raw:
            assert signing.is_signed(renewed.encode(), sent, headers)
        assert (await staff.delete(path)).status_code == 204
        assert (await staff.get(path)).status_code == 404


async def test_a_partner_that_is_switched_off_is_told_nothing_and_fetches_nothing(
    billing: Billing, partner: UUID, endpoint: Endpoint
) -> None:
    async with as_partner(billing, partner) as theirs:
        await made(theirs, endpoint.url)
        await billing.handle(_partner(billing, partner, 2, active=False))
        await charged(billing, partner)
        assert (await theirs.get("/v1/partner/sessions")).status_code == 403
    rows = await billing.stored(
        "select count(*) as n from webhook_delivery where operator_id = $1", billing.operator_id
    )
    assert rows[0]["n"] == 0


async def test_a_partner_fetches_its_sessions_and_the_records_behind_the_last_it_has(
    billing: Billing, partner: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = for_partners.SETTLED
    monkeypatch.setattr(for_partners, "SETTLED", -timedelta(milliseconds=5))
    mine = [await charged(billing, partner) for _ in range(3)]
    others = await charged(billing, None)
    async with as_partner(billing, partner) as theirs:
        found = (await theirs.get("/v1/partner/sessions")).json()["items"]
        assert [one["id"] for one in found] == [str(one) for one in reversed(mine)]
        one = (await theirs.get(f"/v1/partner/sessions/{mine[0]}")).json()
        assert one == found[-1]
        assert (await theirs.get(f"/v1/partner/sessions/{others}")).status_code == 404
        running = await theirs.get("/v1/partner/sessions", params={"state": "running"})
        assert running.json()["items"] == []
        pages, after = [], None
        while True:
            query = {"limit": 2} | ({"after": after} if after else {})
            page = (await theirs.get("/v1/partner/records", params=query)).json()["items"]
            if not page:
                break
            pages.append([one["session_id"] for one in page])
            after = page[-1]["position"]
        assert pages == [[str(mine[0]), str(mine[1])], [str(mine[2])]]
        record = (await theirs.get(f"/v1/partner/records/{after}")).json()
        assert record["total_gross"] == "4.90"
        (others_record,) = await billing.stored(
            "select id from record where session_id = $1", others
        )
        path = f"/v1/partner/records/{others_record['id']}"
        assert (await theirs.get(path)).status_code == 404
        monkeypatch.setattr(for_partners, "SETTLED", settled)
        # One that was closed a moment ago may have others, made before it, still to come.
        await charged(billing, partner)
        newest = (await theirs.get("/v1/partner/records", params={"after": after})).json()
        assert newest["items"] == []
    async with as_staff(billing) as staff:
        assert (await staff.get("/v1/partner/records")).status_code == 403


@given(st.integers(1, 10_000))
def test_pauses_grow_and_have_an_end(tries: int) -> None:
    assert timedelta(seconds=5) <= pause(tries) <= pause(tries + 1) <= timedelta(hours=12)
    wait = left_alone(tries)
    assert (wait is None) == (tries < FAILURES_MAX)
    assert wait is None or wait <= LEFT_ALONE_MAX
