"""The nightly check: what differs is found, told, and resolved once it differs no more."""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.ledger.check import check, tell_standings, until_night
from common.events import AccountStandingChanged

from .booking import WALLET, bonus, booked, opened, top_up
from .conftest import Billing
from .test_ledger_holds import held


async def differences(billing: Billing) -> list[tuple[str, str]]:
    found = await check(billing.app.state.connections)
    return [(one.kind, one.subject) for one in found if one.operator_id == billing.operator_id]


async def shown(billing: Billing, **query: Any) -> list[tuple[str, str]]:
    async with billing.as_(billing.operator_id, "accounts:read") as api:
        answer = await api.get("/v1/ledger-findings", params=query)
    return [(one["kind"], one["subject"]) for one in answer.json()["items"]]


async def test_a_balance_that_is_not_the_sum_of_its_postings_is_found(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "10"), bonus(account, "5"))
    assert await held(billing, account, "3", "k")
    assert await differences(billing) == []
    for column, kind in (
        ("posted", "balance_differs"),
        ("bonus", "balance_differs"),
        ("held", "held_differs"),
    ):
        change = f"update balance set {column} = {column} + $2 where account_id = $1"
        await billing.stored(change, account, 1)
        assert await differences(billing) == [(kind, str(account))]
        assert await shown(billing, resolved=False) == [(kind, str(account))]
        await billing.stored(change, account, -1)
        assert await differences(billing) == []
        assert await shown(billing, resolved=False) == []
    assert len(await shown(billing, resolved=True)) == 2
    metrics = (await billing.http.get("/metrics")).text
    assert 'csms_billing_ledger_differences{kind="balance_differs"} 0.0' in metrics


async def test_a_journal_that_somebody_tampered_with_is_found(billing: Billing) -> None:
    """By who owns the tables and switched their triggers off."""
    account = await opened(billing)
    await booked(billing, top_up(account, "10"))
    query = "select id from journal where operator_id = $1"
    rows = await billing.stored(query, billing.operator_id)
    journal = rows[0]["id"]
    off = "alter table posting disable trigger user"
    await billing.stored(off)
    change = "update posting set amount = amount + $2 where account_id = $1"
    await billing.stored(change, account, 1)
    assert set(await differences(billing)) == {
        ("balance_differs", str(account)),
        ("journal_unbalanced", str(journal)),
    }
    await billing.stored(change, account, -1)
    await billing.stored(off.replace("disable", "enable"))
    assert await differences(billing) == []


async def test_a_record_that_counts_but_was_not_booked_is_found(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing)
    start = billing.started()
    await billing.handle(start, billing.ended(session_id=start.session_id))
    record = await billing.record(start.session_id)
    assert record is not None
    assert await differences(billing) == [], "nobody is billed for it"
    change = (
        "update record set terms = jsonb_build_object('method', $2::text, 'account_id', $3::text), "
        "closed_at = now() - interval '1 hour' where session_id = $1"
    )
    await billing.stored(change, start.session_id, "free", str(account))
    assert await differences(billing) == []
    await billing.stored(change, start.session_id, "monthly", str(account))
    assert await differences(billing) == [("record_not_booked", record["id"])]
    doubt = (
        "insert into incident (session_id, kind, operator_id, detail, opened_at) "
        "values ($1, 'clock', $2, '', now())"
    )
    await billing.stored(doubt, start.session_id, billing.operator_id)
    assert await differences(billing) == [], "it is under review"


async def test_a_standing_that_was_not_told_is_told(billing: Billing) -> None:
    account = await opened(billing, **WALLET)
    behind_its_back = "update account set credit_limit = 10 where id = $1"
    await billing.stored(behind_its_back, account)
    await tell_standings(billing.app.state.connections)
    told = [one["may_charge"] for one in await billing.told(AccountStandingChanged)]
    assert told == [False, True]


async def test_the_check_is_a_command_too(billing: Billing) -> None:
    url = str(billing.app.state.parts.settings.database_url)

    async def run() -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "billing.ledger.check",
            env=os.environ | {"CSMS_DATABASE_URL": url},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    account = await opened(billing)
    assert await run() == (0, "0 differences\n")
    change = "update balance set posted = posted + $2 where account_id = $1"
    await billing.stored(change, account, 1)
    code, out = await run()
    assert code == 1
    assert f"balance_differs {billing.operator_id} {account} " in out
    await billing.stored(change, account, -1)


@pytest.mark.parametrize(
    ("at", "hours"),
    [
        (datetime(2026, 3, 2, 1, 30, tzinfo=UTC), 1),
        (datetime(2026, 3, 2, 2, 30, tzinfo=UTC), 24),
        (datetime(2026, 3, 2, 3, 30, tzinfo=UTC), 23),
    ],
)
def test_the_check_is_made_at_night(at: datetime, hours: int) -> None:
    assert until_night(at) == timedelta(hours=hours)
