"""A month of an operator's sessions: every way to pay, every kind of price, doubts and corrections.

Dice with a seed decide, so that the same month can be had again.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from billing.ledger import check
from common.authorize import Holder
from common.events import Event, Incident, MeterSample, MeterValuesReported, SessionEnded
from common.ids import uuid7

from .booking import booked, top_up
from .strategy_place import Place

MONTH: Final = datetime(2026, 3, 1, tzinfo=UTC)
AT_ONCE: Final = 100  # events a batch, as the consumer takes them
PEOPLE: Final = 12  # of each way to pay
DAY_AND_NIGHT: Final = {
    "elements": [
        {
            "price_components": [
                {"type": "ENERGY", "price": "0.31", "vat": "19"},
                {"type": "FLAT", "price": "0.35", "vat": "7"},
            ],
            "restrictions": {"start_time": "22:00", "end_time": "06:00"},
        },
        {
            "price_components": [
                {"type": "ENERGY", "price": "0.5237", "vat": "19"},
                {"type": "TIME", "price": "0.61", "vat": "19"},
            ]
        },
    ],
    "idle_fee": {"price_per_min": "0.10", "vat": "19", "after_min": 240, "counts": "connected"},
    "max_price": {"incl_vat": "60"},
}
WAYS: Final[dict[str, dict[str, Any]]] = {
    "prepaid": {"method": "prepaid"},
    "monthly": {"method": "monthly"},
    "per_session": {"method": "per_session"},
    "net": {"method": "monthly", "tax": "net"},
    "abroad": {"method": "yearly", "tax": "reverse_charge"},
    "free": {"method": "free"},
}
NOBODY_PAYS: Final = ("free", "ad hoc")


@dataclass
class Payer:
    way: str
    card_id: UUID = field(default_factory=uuid7)
    holder: Holder = field(default_factory=Holder)


@dataclass
class Outcome:
    """What the ledger has, and what the records say."""

    sessions: int
    records: int
    owed: dict[UUID, Decimal]  # by who pays: the records of their sessions
    billed: dict[UUID, Decimal]  # by whose account it is: the journals of records
    revenue: Decimal
    net: Decimal
    differences: list[Any]


class Month:
    def __init__(self, place: Place, seed: int) -> None:
        self.place, self.billing = place, place.billing
        self.dice = random.Random(seed)
        self.payers: list[Payer] = []

    async def opened(self) -> None:
        place = self.place
        tariff = await place.tariff("0.44", energy_price=None, vat_percent=None,
                                    definition=DAY_AND_NIGHT)  # fmt: skip
        for way, terms in WAYS.items():
            strategy = await place.strategy(way, tariff if way != "monthly" else None, **terms)
            for _ in range(PEOPLE):
                holder = Holder(accounting_strategy_id=UUID(strategy))
                if way == "abroad":
                    holder = Holder(company_id=place.company, company_master=True,
                                    accounting_strategy_id=UUID(strategy))  # fmt: skip
                self.payers.append(Payer(way, holder=holder))
        self.payers += [Payer("ad hoc", holder=Holder()) for _ in range(PEOPLE)]
        place_of = [{"kind": "everywhere"}]
        for fields in (
            {"name": "regulars", "kind": "percent", "amount": "10"},
            {"name": "site", "kind": "absolute", "amount": "0.05", "currency": "EUR",
             "priority": 3},
            {"name": "first", "kind": "free",
             "quota": {"unit": "kwh", "size": "500", "per": "total"}},
        ):  # fmt: skip
            made = await place.made("discounts", places=place_of, **fields)
            answer = await place.staff.post(
                f"/v1/discounts/{made['id']}/activate", headers={"If-Match": '"1"'}
            )
            assert answer.status_code in {200, 204}, answer.text
        await self._before()

    async def _before(self) -> None:
        """Discounts count from when they were activated, and the month is over."""
        await self.billing.stored(
            "update discount set activated_at = $1 where operator_id = $2", MONTH,
            self.place.operator_id,
        )  # fmt: skip

    async def run(self, sessions: int) -> None:
        events: list[Event] = []
        for event in self._events(sessions):
            events.append(event)
            if len(events) >= AT_ONCE:
                await self.billing.handle(*events)
                events = []
        if events:
            await self.billing.handle(*events)

    def _events(self, sessions: int) -> Iterator[Event]:
        for number in range(sessions):
            started_at = MONTH + timedelta(minutes=44_640 * number / sessions)
            payer = self.dice.choice(self.payers)
            length = timedelta(minutes=self.dice.randint(1, 500))
            energy_wh = self.dice.choice([0, 49, self.dice.randint(50, 60_000)])
            told: dict[str, Any] = {
                "session_id": uuid7(), "station_id": self.place.station, "started_at": started_at,
                "transaction_id": str(number), "card_id": payer.card_id, "holder": payer.holder,
                "meter_start_wh": 0,
            }  # fmt: skip
            if self.dice.random() < 0.7:  # others were offline: the end tells all of it
                yield self.billing.started(**told)
                yield self._readings(told["session_id"], started_at, length, energy_wh)
            end = self._end(told, started_at + length, energy_wh)
            yield end
            if self.dice.random() < 0.05:
                yield end.model_copy(update={"id": uuid7()})

    def _readings(
        self, session_id: UUID, at: datetime, length: timedelta, energy_wh: int
    ) -> MeterValuesReported:
        samples = [
            MeterSample(
                sampled_at=at + length * n / 4, value=Decimal(energy_wh * n // 4), unit="Wh"
            )
            for n in range(1, 4)
        ]
        self.dice.shuffle(samples)
        return MeterValuesReported(reports=(self.billing.report(session_id, samples),))

    def _end(self, told: dict[str, Any], ended_at: datetime, energy_wh: int) -> SessionEnded:
        doubt = self.dice.random()
        incidents = (
            (Incident(kind="stop_repeated", detail="another value"),) if doubt < 0.04 else ()
        )
        known = None if doubt < 0.01 else energy_wh
        return self.billing.ended(
            **told, ended_at=ended_at, energy_wh=known, meter_stop_wh=known, incidents=incidents
        )

    async def decided(self) -> None:
        """Staff decide about all that is doubtful, and correct some of what was not."""
        rows = await self.billing.stored(
            "select s.id, s.energy_wh from session s join incident i on i.session_id = s.id "
            "where s.operator_id = $1 group by s.id order by s.id", self.place.operator_id,
        )  # fmt: skip
        for row in rows:
            ruling: dict[str, Any] = self.dice.choice(
                [{"verdict": "valid"}, {"verdict": "void"},
                 {"verdict": "corrected", "facts": {"energy_wh": 12_345}}]
            )  # fmt: skip
            if row["energy_wh"] is None and ruling["verdict"] == "valid":
                ruling = {"verdict": "void"}
            await self.billing.posted(f"reviews/{row['id']}/decisions", ruling | {"reason": "seen"})
        rows = await self.billing.stored(
            "select r.id from record r where operator_id = $1 and kind = 'session' and not exists ("
            "select from record l where l.session_id = r.session_id and l.id <> r.id) "
            "order by id limit 20", self.place.operator_id,
        )  # fmt: skip
        for row in rows[::2]:
            ruling = {"verdict": "corrected", "facts": {"energy_wh": 7_777}, "reason": "misread"}
            await self.billing.posted(f"records/{row['id']}/corrections", ruling)

    async def topped_up(self) -> None:
        accounts = await self.billing.stored(
            "select id from account where operator_id = $1 and kind = 'customer' order by id",
            self.place.operator_id,
        )
        for row in accounts:
            await booked(self.billing, top_up(row["id"], str(self.dice.randint(1, 400))))

    async def outcome(self) -> Outcome:
        operator = self.place.operator_id
        [counted] = await self.billing.stored(
            "select count(*) as records, "
            "coalesce(sum(total_net) filter (where account_id is not null), 0) as net "
            "from record where operator_id = $1", operator,
        )  # fmt: skip
        owed = await self.billing.stored(
            "select card_id, sum(total_gross) as sum from record where operator_id = $1 group by 1",
            operator,
        )
        ledger = await self.billing.stored(
            "select a.kind, a.owner_id, sum(p.amount) as sum from journal j "
            "join posting p on p.journal_id = j.id join account a on a.id = p.account_id "
            "where j.operator_id = $1 and j.kind = 'record' group by 1, 2", operator,
        )  # fmt: skip
        [sessions] = await self.billing.stored(
            "select count(*) as n from session where operator_id = $1", operator
        )
        found = await check.check(self.billing.app.state.connections)
        return Outcome(
            sessions["n"], counted["records"],
            self._by_who_pays({row["card_id"]: row["sum"] for row in owed}),
            {one["owner_id"]: -one["sum"] for one in ledger if one["owner_id"] and one["sum"]},
            sum(row["sum"] for row in ledger if row["kind"] == "revenue"), counted["net"],
            [one for one in found if one.operator_id == operator],
        )  # fmt: skip

    def _by_who_pays(self, of_cards: dict[UUID, Decimal]) -> dict[UUID, Decimal]:
        """As the dice have given out the cards: each pays for itself, but the company's."""
        found: dict[UUID, Decimal] = {}
        for payer in self.payers:
            if payer.way in NOBODY_PAYS or not of_cards.get(payer.card_id):
                continue
            who = self.place.company if payer.way == "abroad" else payer.card_id
            found[who] = found.get(who, Decimal(0)) + of_cards[payer.card_id]
        return found
