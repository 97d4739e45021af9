"""Who is told of a record that is under review, and when."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from stack import eventually

from billing import for_partners
from common.authorize import Holder
from common.clock import now
from common.events import (
    Incident,
    IncidentOpened,
    PartnerChanged,
    RecordClosed,
    RecordReviewed,
    SessionEnded,
)
from common.ids import uuid7

from .conftest import Billing

VALID = {"verdict": "valid", "reason": "the driver confirms it"}
VOID = {"verdict": "void", "reason": "a test of the electrician"}
CORRECTED = {"verdict": "corrected", "reason": "read", "facts": {"energy_wh": 5_000}}
DOUBT = Incident(kind="stop_repeated", detail="another value")


@pytest.fixture
async def partner(billing: Billing) -> UUID:
    partner_id = uuid7()
    await billing.handle(
        PartnerChanged(
            operator_id=billing.operator_id, partner_id=partner_id, version=1, name="Cambio",
            active=True,
        )
    )  # fmt: skip
    await billing.tariff()
    return partner_id


async def ended(billing: Billing, partner: UUID, *incidents: Incident) -> SessionEnded:
    end = billing.ended(holder=Holder(partner_id=partner), incidents=incidents)
    await billing.handle(end)
    return end


async def decide(billing: Billing, end: SessionEnded, ruling: dict[str, Any]) -> None:
    await billing.posted(f"reviews/{end.session_id}/decisions", ruling)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what may be committed yet."""
    monkeypatch.setattr(for_partners, "SETTLED", -timedelta(milliseconds=5))


async def fetched(billing: Billing, partner: UUID, **query: Any) -> list[dict[str, Any]]:
    """As a partner does, two at once."""
    claims: dict[str, Any] = {"role": "partner", "partner_id": str(partner)}
    found: list[dict[str, Any]] = []
    async with billing.as_(billing.operator_id, "partner-sessions:read", **claims) as theirs:
        while True:
            asked = query | {"limit": 2}
            page = (await theirs.get("/v1/partner/records", params=asked)).json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]


async def doubt(billing: Billing, end: SessionEnded) -> None:
    await billing.handle(
        IncidentOpened(
            operator_id=billing.operator_id, session_id=end.session_id, station_id="CP-1",
            incident=DOUBT, occurred_at=now(),
        )
    )  # fmt: skip


def brief(records: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(one["session_id"], one["kind"], one["total_gross"]) for one in records]


@pytest.mark.usefixtures("at_once")
async def test_a_partner_fetches_what_was_pending_behind_what_it_has_once_it_is_decided(
    billing: Billing, partner: UUID
) -> None:
    doubted = await ended(billing, partner, DOUBT)
    wrong = await ended(billing, partner, DOUBT)
    plain = await ended(billing, partner)
    first = await fetched(billing, partner)
    assert brief(first) == [(str(plain.session_id), "session", "4.90")]
    record = await billing.record(doubted.session_id)
    assert record
    claims: dict[str, Any] = {"role": "partner", "partner_id": str(partner)}
    async with billing.as_(billing.operator_id, "partner-sessions:read", **claims) as theirs:
        assert (await theirs.get(f"/v1/partner/records/{record['id']}")).status_code == 404
        await decide(billing, wrong, CORRECTED)
        await decide(billing, doubted, VALID)
        assert (await theirs.get(f"/v1/partner/records/{record['id']}")).status_code == 200
    after = first[-1]["position"]
    behind = [
        (str(wrong.session_id), "session", "4.90"),
        (str(wrong.session_id), "cancellation", "-4.90"),
        (str(wrong.session_id), "correction", "2.45"),
        (str(doubted.session_id), "session", "4.90"),
    ]
    found = await fetched(billing, partner, after=after)
    assert brief(found) == behind
    assert brief(await fetched(billing, partner)) == [*brief(first), *behind]
    assert await fetched(billing, partner, after=found[-1]["position"]) == []


async def test_a_partner_gets_a_record_once_nothing_before_it_can_come_any_more(
    billing: Billing, partner: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(billing, partner)
    assert await fetched(billing, partner) == []
    monkeypatch.setattr(for_partners, "SETTLED", timedelta(seconds=0.3))

    async def there() -> bool:
        return len(await fetched(billing, partner)) == 1

    await eventually(there)


@pytest.mark.usefixtures("at_once")
async def test_what_took_a_record_back_is_listed_whatever_is_doubted_after_it(
    billing: Billing, partner: UUID
) -> None:
    end = await ended(billing, partner)
    [first] = await fetched(billing, partner)
    await billing.posted(f"records/{first['id']}/corrections", CORRECTED)
    await doubt(billing, end)
    pending = await fetched(billing, partner, after=first["position"])
    assert [one["kind"] for one in pending] == ["cancellation"]
    await decide(billing, end, VALID)
    [counts] = await fetched(billing, partner, after=pending[-1]["position"])
    assert (counts["kind"], counts["total_gross"]) == ("correction", "2.45")


@pytest.mark.usefixtures("at_once")
async def test_a_record_that_is_doubted_later_comes_once_more_when_that_is_decided(
    billing: Billing, partner: UUID
) -> None:
    end = await ended(billing, partner)
    [first] = await fetched(billing, partner)
    await doubt(billing, end)
    assert await fetched(billing, partner) == []
    await decide(billing, end, VALID)
    [again] = await fetched(billing, partner, after=first["position"])
    assert again == first | {"position": again["position"]}


async def test_webhooks_and_events_tell_of_a_pending_record_as_final_once_it_is_decided(
    billing: Billing, partner: UUID
) -> None:
    scopes = ("webhooks:read", "webhooks:write")
    async with billing.as_(billing.operator_id, *scopes) as staff:
        body = {"url": "https://127.0.0.1:1/", "kinds": ["record.closed"]}
        hook = (await staff.post("/v1/webhooks", json=body)).json()

        async def queued() -> list[tuple[str, str, str]]:
            page = (await staff.get(f"/v1/webhooks/{hook['id']}/deliveries")).json()
            return brief([json.loads(one["body"])["data"] for one in page["items"]])[::-1]

        void, valid = [await ended(billing, partner, DOUBT) for _ in range(2)]
        plain = await ended(billing, partner)
        told = [(str(plain.session_id), "session", "4.90")]
        assert await queued() == told
        await decide(billing, valid, VALID)
        told += [(str(valid.session_id), "session", "4.90")]
        assert await queued() == told
        await decide(billing, void, VOID)
        told += [
            (str(void.session_id), "session", "4.90"),
            (str(void.session_id), "cancellation", "-4.90"),
        ]
        assert await queued() == told

    async def reviewed() -> list[dict[str, Any]]:
        found = await billing.told(RecordReviewed)
        return found if len(found) == 2 else []

    of_reviews = await eventually(reviewed)
    assert [(one["session_id"], one["review"]) for one in of_reviews] == [
        (str(valid.session_id), "valid"), (str(void.session_id), "void"),
    ]  # fmt: skip
    closed = await billing.told(RecordClosed)
    assert [(one["kind"], one["review"]) for one in closed] == [
        ("session", "pending"), ("session", "pending"), ("session", "none"),
        ("cancellation", "void"),
    ]  # fmt: skip
    assert of_reviews[0]["record_id"] == closed[1]["record_id"]
