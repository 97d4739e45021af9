"""Prepaid sessions: held at the start, followed while they run, stopped in time, settled."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import nats
from nats.aio.msg import Msg
from stack import eventually

from billing import tables
from billing.ledger.check import check
from billing.ledger.prepaid import Prepaid, expire_once
from billing.sessions import begin_session
from common.authorize import Holder
from common.commanding import SUBJECT
from common.events import Evse, MeterValuesReported, StationChanged
from common.ids import uuid7

from .booking import WALLET, balance, booked, booking, opened, pays, top_up
from .conftest import Billing
from .strategy_place import placed
from .test_sessions import register

D = Decimal


class Gateway:
    """Answers commands as the gateway does, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.refusal: dict[str, Any] | None = None

    async def on_command(self, message: Msg) -> None:
        self.asked.append(json.loads(message.data))
        answer = {"refused": self.refusal} if self.refusal else {"command_id": str(uuid7())}
        await message.respond(json.dumps(answer).encode())

    def of(self, session_id: UUID) -> list[dict[str, Any]]:
        return [one for one in self.asked if one["command"]["session_id"] == str(session_id)]


@asynccontextmanager
async def gateway(billing: Billing) -> AsyncIterator[Gateway]:
    client = await nats.connect(billing.nats_url)
    answering = Gateway()
    await client.subscribe(SUBJECT, cb=answering.on_command)
    await client.flush()
    yield answering
    await client.close()


async def begun(billing: Billing, account: UUID, **facts: Any) -> UUID:
    """A session that the account pays in advance, as if its strategy had said so.

    Not by its event: the service would look at what it costs at some moment of the test, and hold
    more, or for longer.
    """
    start = billing.started(**facts)
    async with booking(billing) as db:
        assert await begin_session(db, start)
    await pays(billing, start.session_id, account)
    async with booking(billing) as db:
        session = await db.get_one(tables.Session, start.session_id)
        await Prepaid(billing.app.state.parts.settings).begin(db, session)
    return start.session_id


async def metered(billing: Billing, session_id: UUID, wh: int, minute: int) -> None:
    report = billing.report(session_id, [register(str(1_000 + wh), 60 * minute)])
    await billing.handle(MeterValuesReported(reports=(report,)))


async def held(billing: Billing, account: UUID, amount: str) -> None:
    async def is_so() -> bool:
        return bool((await balance(billing, account))[2] == D(amount))

    await eventually(is_so)


async def findings(billing: Billing) -> list[tuple[str, str]]:
    async with billing.as_(billing.operator_id, "accounts:read") as api:
        items = (await api.get("/v1/ledger-findings")).json()["items"]
    return [(one["kind"], one["session_id"]) for one in items]


async def test_money_is_held_in_steps_and_what_is_left_is_free_at_the_end(
    billing: Billing,
) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "20"))
    async with gateway(billing) as asked:
        session_id = await begun(billing, account)
        await held(billing, account, "5")
        await metered(billing, session_id, 5_000, 10)  # 2.45, and 0.36 until a stop would arrive
        await metered(billing, session_id, 9_900, 20)  # 4.85, and 0.36: more than is held
        await held(billing, account, "10.21")
        await billing.handle(billing.ended(session_id=session_id))
        assert await balance(billing, account) == (D("15.10"), 0, 0)
        assert asked.of(session_id) == []
    async with billing.as_(billing.operator_id, "accounts:read") as api:
        holds = (await api.get(f"/v1/accounts/{account}/holds")).json()["items"]
    assert [(one["state"], one["session_id"]) for one in holds] == [("settled", str(session_id))]


async def test_a_session_is_stopped_before_it_costs_more_than_there_is(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "6"))
    async with gateway(billing) as asked:
        session_id = await begun(billing, account)
        await metered(billing, session_id, 11_000, 20)  # 5.39 and 0.36 are less than 6.00
        await held(billing, account, "6")
        assert asked.of(session_id) == []
        await metered(billing, session_id, 12_000, 22)  # 5.88 and 0.36 are more

        async def stopped() -> bool:
            return bool(asked.of(session_id))

        await eventually(stopped)
        await metered(billing, session_id, 12_300, 23)
        await asyncio.sleep(1.2)
        told = asked.of(session_id)
        assert len(told) == 1, "it is told once"
        assert told[0]["command"] == {"type": "remote_stop", "session_id": str(session_id)}
        assert (told[0]["station_id"], told[0]["operator_id"]) == ("CP-1", str(billing.operator_id))
    # The stop came late all the same: the wallet goes below zero, the next top-up nets it.
    end = billing.ended(session_id=session_id, meter_stop_wh=14_000, energy_wh=13_000)
    await billing.handle(end)
    assert await balance(billing, account) == (D("-0.37"), 0, 0)
    await booked(billing, top_up(account, "10"))
    assert await balance(billing, account) == (D("9.63"), 0, 0)


async def test_what_the_evse_can_deliver_says_how_early_it_is_stopped(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "10"))
    station_id = f"S-{uuid7().hex[-12:]}"
    strong = Evse(evse_id=1, code=None, max_power_w=350_000)
    station = StationChanged(
        operator_id=billing.operator_id, station_id=station_id, version=1, name="x",
        location_id=None, active=True, evses=(strong,),
    )  # fmt: skip
    async with gateway(billing) as asked:
        await billing.handle(station)
        session_id = await begun(billing, account, station_id=station_id)
        # 4.90 so far; at 350 kW two minutes are 11.666 kWh, which are 5.72 more.
        await metered(billing, session_id, 10_000, 2)

        async def stopped() -> bool:
            return bool(asked.of(session_id))

        await eventually(stopped)
    assert asked.of(session_id)[0]["station_id"] == station_id


async def test_a_session_begun_without_credit_runs_and_is_stopped(billing: Billing) -> None:
    """It may have begun offline: it is there, it is billed, and it is told of."""
    await billing.tariff()
    account = await opened(billing, **WALLET)
    async with gateway(billing) as asked:
        session_id = await begun(billing, account)

        async def stopped() -> bool:
            return bool(asked.of(session_id))

        await eventually(stopped)
    assert (await billing.get(f"sessions/{session_id}"))["state"] == "running"
    assert await findings(billing) == [("began_without_credit", str(session_id))]
    await billing.handle(billing.ended(session_id=session_id))
    assert await balance(billing, account) == (D("-4.90"), 0, 0)


async def test_a_stop_waits_for_a_gateway_that_is_away(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    session_id = await begun(billing, account)
    await asyncio.sleep(1.2)  # two looks
    async with gateway(billing) as asked:

        async def stopped() -> bool:
            return bool(asked.of(session_id))

        await eventually(stopped)


async def test_a_stop_that_the_gateway_refuses_is_told_to_staff(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    async with gateway(billing) as asked:
        refusal = {"type": "urn:openlade:problem:unknown-station", "status": 404, "detail": "none"}
        asked.refusal = refusal
        session_id = await begun(billing, account)

        async def told() -> bool:
            return ("stop_refused", str(session_id)) in await findings(billing)

        await eventually(told)
        await asyncio.sleep(1.2)
        assert len(asked.of(session_id)) == 1


async def test_a_charger_that_goes_on_after_its_stop_is_told_again_after_a_while(
    billing: Billing,
) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    async with gateway(billing) as asked:
        session_id = await begun(billing, account)

        async def told(times: int) -> bool:
            return len(asked.of(session_id)) == times

        await eventually(lambda: told(1))
        # Until the answer is kept, which would make it the newest again.
        answered = "select from hold where session_id = $1 and stop_settled_at is not null"
        await eventually(lambda: billing.stored(answered, session_id))
        await billing.stored(
            "update hold set stop_settled_at = now() - interval '6 minutes' where session_id = $1",
            session_id,
        )
        await metered(billing, session_id, 3_000, 5)
        await eventually(lambda: told(2))
        keys = {one["idempotency_key"] for one in asked.of(session_id)}
        assert len(keys) == 2, "another key, or the gateway would take it for the same"


async def test_what_is_held_for_a_station_that_is_gone_is_free_after_days(
    billing: Billing,
) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "8"))
    session_id = await begun(billing, account)
    await expire_once(billing.app.state.connections)
    assert (await balance(billing, account))[2] == 5, "not before its time"
    late = "update hold set expires_at = now() - interval '1 second' where session_id = $1"
    await billing.stored(late, session_id)
    await expire_once(billing.app.state.connections)
    assert await balance(billing, account) == (8, 0, 0)
    assert await findings(billing) == [("hold_expired", str(session_id))]
    await billing.handle(billing.ended(session_id=session_id))  # it comes back and is charged
    assert await balance(billing, account) == (D("3.10"), 0, 0)


async def test_what_had_expired_is_held_again_once_the_station_is_back(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "8"))
    async with gateway(billing) as asked:
        session_id = await begun(billing, account)
        late = "update hold set expires_at = now() - interval '1 second' where session_id = $1"
        await billing.stored(late, session_id)
        await expire_once(billing.app.state.connections)
        assert await findings(billing) == [("hold_expired", str(session_id))]
        await metered(billing, session_id, 12_000, 5)  # 5.88 and 0.36
        await held(billing, account, "8")
        assert asked.of(session_id) == []
        await metered(billing, session_id, 17_000, 6)

        async def stopped() -> bool:
            return bool(asked.of(session_id))

        await eventually(stopped)


async def test_what_is_held_is_held_on_while_the_station_tells_of_the_session(
    billing: Billing,
) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "8"))
    session_id = await begun(billing, account)
    soon = "update hold set expires_at = now() + interval '1 hour' where session_id = $1"
    await billing.stored(soon, session_id)
    await metered(billing, session_id, 1_000, 5)  # far less than what is held
    later = "select from hold where session_id = $1 and expires_at > now() + interval '2 days'"
    await eventually(lambda: billing.stored(later, session_id))
    assert (await balance(billing, account))[2] == 5


async def test_nothing_is_held_for_who_was_refused_or_pays_by_invoice(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "8"))
    await begun(billing, account, token_status="Blocked")
    start = billing.started()
    await billing.handle(start)
    await pays(billing, start.session_id, account, method="monthly")
    async with booking(billing) as db:
        session = await db.get_one(tables.Session, start.session_id)
        await Prepaid(billing.app.state.parts.settings).begin(db, session)
    assert await balance(billing, account) == (8, 0, 0)


async def test_a_start_that_is_told_again_holds_nothing_more(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "8"))
    session_id = await begun(billing, account)
    async with booking(billing) as db:
        session = await db.get_one(tables.Session, session_id)
        await Prepaid(billing.app.state.parts.settings).begin(db, session)
    assert await balance(billing, account) == (8, 0, 5)
    await billing.handle(billing.ended(session_id=session_id))
    async with booking(billing) as db:
        session = await db.get_one(tables.Session, session_id)
        await Prepaid(billing.app.state.parts.settings).begin(db, session)
    assert await balance(billing, account) == (D("3.10"), 0, 0)


async def test_a_prepaid_strategy_from_its_estimate_to_its_record(billing: Billing) -> None:
    """By events alone, as in operation."""
    async with placed(billing) as place, gateway(billing) as asked:
        strategy = await place.strategy("P", method="prepaid", prepaid_estimate="8", tariffs=[])
        await place.give(strategy, "user", place.user)
        [account] = (await place.staff.get("/v1/accounts")).json()["items"]
        account_id = UUID(account["id"])
        assert account["standing_reason"] == "no_credit"
        await booked(billing, top_up(account_id, "10"))
        driver = {"card_id": place.card, "user_id": place.user, "holder": Holder()}
        start = billing.started(station_id=place.station, **driver)
        await billing.handle(start)
        assert await balance(billing, account_id) == (10, 0, 8)
        await metered(billing, start.session_id, 19_000, 30)  # 9.31 and 0.36 are less than 10.00
        await held(billing, account_id, "10")
        assert asked.of(start.session_id) == []
        await metered(billing, start.session_id, 20_000, 32)

        async def stopped() -> bool:
            return bool(asked.of(start.session_id))

        await eventually(stopped)
        last = {"meter_stop_wh": 21_400, "energy_wh": 20_400}
        end = billing.ended(session_id=start.session_id, station_id=place.station, **driver, **last)
        await billing.handle(end)
        record = await billing.record(start.session_id)
        assert record is not None
        assert record["account_id"] == account["id"]
        gross = D(record["total_gross"]["amount"])
        assert await balance(billing, account_id) == (10 - gross, 0, 0)
    found = await check(billing.app.state.connections)
    assert [one for one in found if one.operator_id == billing.operator_id] == []
