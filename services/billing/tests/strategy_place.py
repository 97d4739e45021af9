"""An operator with a station, people, a company, a partner, and staff who keep its strategies."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx

from common.authorize import Holder
from common.events import (
    CardChanged,
    CompanyChanged,
    OperatorChanged,
    PartnerChanged,
    StationChanged,
    UserChanged,
    UserGroupChanged,
)
from common.ids import uuid7
from services.billing.tests.conftest import Billing

SCOPES = (
    "accounting-strategies:read", "accounting-strategies:write", "agreements:read",
    "agreements:write", "discounts:read", "discounts:write", "accounts:read",
    "accounts:write", "tariffs:read", "tariffs:write", "records:read", "sessions:read",
)  # fmt: skip


class Place:
    """Everything that a price may come from; nothing is assigned yet."""

    def __init__(self, billing: Billing, staff: httpx.AsyncClient) -> None:
        self.billing = billing
        self.staff = staff
        self.operator_id = billing.operator_id
        self.station = f"CP-{billing.operator_id}"
        self.location, self.group = billing.here, uuid7()
        self.user, self.company, self.partner = uuid7(), uuid7(), uuid7()
        self.card, self.company_card, self.master = uuid7(), uuid7(), uuid7()

    async def told(self) -> None:
        of: dict[str, Any] = {"operator_id": self.operator_id, "version": 1}
        await self.billing.handle(
            OperatorChanged(**of, name="O", time_zone="Europe/Berlin", currency="EUR"),
            self.billing.opened(),
            PartnerChanged(**of, partner_id=self.partner, name="Cambio", active=True),
            StationChanged(
                **of, station_id=self.station, name="S", active=True, evses=(),
                location_id=self.location,
            ),
            UserGroupChanged(**of, group_id=self.group, name="Neighbours"),
            UserChanged(
                **of, user_id=self.user, name="Ada", active=True, group_ids=(self.group,)
            ),
            CompanyChanged(
                **of, company_id=self.company, name="Works", active=True, vat_id="DE123456789"
            ),
            self.card_told(self.card, user_id=self.user),
            self.card_told(self.company_card, company_id=self.company),
            self.card_told(self.master, company_id=self.company, company_master=True),
        )  # fmt: skip

    def card_told(self, card_id: UUID, *, version: int = 1, **facts: Any) -> CardChanged:
        fields = {"uid": str(card_id), "user_id": None, "label": "", "active": True} | facts
        return CardChanged(operator_id=self.operator_id, card_id=card_id, version=version, **fields)

    async def made(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.staff.post(f"/v1/{path}", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def refused(self, path: str, **body: Any) -> str:
        """The kind of problem."""
        answer = await self.staff.post(f"/v1/{path}", json=body)
        assert answer.status_code >= 400, answer.text
        return str(answer.json()["type"]).rpartition(":")[2]

    async def tariff(self, price: str, **more: Any) -> str:
        fields = {"name": price, "energy_price": price, "agreed_only": True} | more
        return str((await self.billing.tariff(**fields))["id"])

    async def strategy(self, name: str, tariff: str | None = None, **more: Any) -> str:
        everywhere = {"place": {"kind": "everywhere"}, "tariff_id": tariff}
        fields = {"method": "monthly", "currency": "EUR", "tariffs": [everywhere]} | more
        return str((await self.made("accounting-strategies", name=name, **fields))["id"])

    async def give(
        self, strategy: str, kind: str, holder: UUID | None = None, **more: Any
    ) -> dict[str, Any]:
        to = {"kind": kind, "id": str(holder) if holder else None}
        return await self.made("strategy-assignments", strategy_id=strategy, holder=to, **more)

    async def charged(self, card: UUID | None = None, **holder: Any) -> dict[str, Any]:
        """The record of 10 kWh, and in terms what its session keeps of the price."""
        user, times = holder.pop("user_id", None), holder.pop("times", {})
        whose = Holder(**holder) if card else None
        end = self.billing.ended(
            station_id=self.station, card_id=card, user_id=user, holder=whose, **times
        )
        await self.billing.handle(end)
        record = await self.billing.record(end.session_id)
        assert record is not None
        query = "select terms from session where id = $1"
        [row] = await self.billing.stored(query, end.session_id)
        return record | {"terms": json.loads(row["terms"])}


@asynccontextmanager
async def placed(billing: Billing, *, tariff: bool = True) -> AsyncIterator[Place]:
    headers = billing.issuer.headers(billing.operator_id, *SCOPES)
    base_url = str(billing.http.base_url)
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=20) as staff:
        place = Place(billing, staff)
        await place.told()
        if tariff:
            await billing.tariff()
        yield place
