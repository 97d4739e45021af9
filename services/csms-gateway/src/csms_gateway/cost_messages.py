"""Prices and costs at stations of OCPP 1.6 that show them (costmsg.py).

Such a station says so itself, by its key CustomDisplayCostAndPrice, or staff say it for it. A
driver reads the price when the card is accepted if no other can count (tariffs_told.py), else when
billing has told that of the session; then what it costs so far, and in the end.
"""

import asyncio
import logging
from collections import OrderedDict
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from common.authorize import AuthorizeAnswer
from common.clock import now
from common.events import RecordClosed, SessionCostUpdated, SessionPriceSet
from csms_gateway import costmsg
from csms_gateway.awaited_answers import CallFailed, NoAnswer
from csms_gateway.charger import Charger
from csms_gateway.commands import ours
from csms_gateway.connections import Held
from csms_gateway.gateway import Gateway
from csms_gateway.remembering import remember
from csms_gateway.tariff_texts import Prices
from csms_gateway.tariffs_told import prices_of
from csms_gateway.transaction_fold import ACCEPTED

log = logging.getLogger(__name__)

V16: Final = "v16"
CANNOT: Final = {"NotSupported", "NotImplemented"}
UNKNOWN: Final = {"UnknownVendorId", "UnknownMessageId"}
# A session that is delivered later ended when nobody was there to read of it any more.
SHOWN_FOR: Final = timedelta(minutes=10)
DEFAULT_EVERY_S: Final = 60.0  # a tariff that begins is shown within so long
REMEMBERED_MAX: Final = 50_000  # stations; some 30 MB

RUNNING: Final = """
select t.id, t.id_token, t.token_status, t.evse_id
from transaction t join station s using (station_id)
where t.session_id = $1 and t.station_id = $2 and t.ended_at is null and s.shows_cost
"""
OVER: Final = """
select t.id, t.id_token from transaction t join station s using (station_id)
where t.session_id = $1 and t.station_id = $2 and t.ended_at > $3 and s.shows_cost
"""
SHOWING: Final = """
select s.station_id, s.operator_id, (
    select v.value from variable v
    where v.station_id = s.station_id and v.component = '' and lower(v.variable) = 'defaultprice'
    order by v.seen_at desc limit 1
) as value
from station s where s.shows_cost and s.station_id = any($1)
"""
OWN: Final = """
select distinct on (operator_id) * from tariff
where operator_id = any($1) and valid_from <= $2 order by operator_id, valid_from desc
"""


def authorized(charger: Charger, id_tag: str, decision: AuthorizeAnswer) -> None:
    """The price, once the card's Authorize is answered; must not wait."""
    charger.gateway.tasks.spawn(
        _authorized(charger, id_tag, decision), f"price {charger.station_id}"
    )


async def _authorized(charger: Charger, id_tag: str, decision: AuthorizeAnswer) -> None:
    await charger.answered()
    texts = await charger.gateway.tariffs.for_card(charger.station, id_tag, decision)
    await _tell_price(charger, id_tag, texts)


async def _tell_price(charger: Charger, id_tag: str, texts: costmsg.Messages) -> None:
    told = (id_tag.upper(), texts[0]["content"]) if texts else None
    if told is None or charger.price_told == told:
        return
    charger.price_told = told
    await _transfer(charger, "SetUserPrice", costmsg.user_price(id_tag, texts))


async def _transfer(charger: Charger, message_id: str, data: dict[str, Any]) -> None:
    if message_id in charger.refused:
        return
    try:
        timeout_s = charger.gateway.settings.ocpp_call_timeout_s
        answer = await charger.call("DataTransfer", costmsg.transfer(message_id, data), timeout_s)
    except CallFailed as failed:
        if failed.code in CANNOT:
            charger.refused.add(message_id)
    except NoAnswer as failed:
        log.debug("%s was not told %s: %s", charger.station_id, message_id, failed)
    else:
        if answer.get("status") in UNKNOWN:
            charger.refused.add(message_id)


async def tell_cost(charger: Charger, event: SessionCostUpdated) -> None:
    if event.as_of is None or event.register_wh is None:
        return  # there is no reading that it could be of
    row = await _session(charger, event.session_id)
    if row is None:
        return
    price = await charger.gateway.tariffs.prices.of(event.session_id)
    data = costmsg.running_cost(
        row["id"], event, price.prices if price else None, idle=row["evse_id"] in charger.idle
    )
    await _transfer(charger, "RunningCost", data)


async def _session(charger: Charger, session_id: UUID) -> asyncpg.Record | None:
    return await charger.gateway.pool.fetchrow(RUNNING, session_id, charger.station_id)


class CostMessages:
    """What is told when billing has told something, and when a tariff begins."""

    def __init__(self, gateway: Gateway, held: Held) -> None:
        self._gateway = gateway
        self._held = held
        # By station the value of DefaultPrice that was last sent: one that was not taken is not
        # sent again.
        self._sent: OrderedDict[str, str] = OrderedDict()

    def priced(self, event: SessionPriceSet) -> None:
        """Must not wait."""
        if charger := self._of_1_6(event.station_id):
            self._gateway.tasks.spawn(self._tell_price(charger, event), f"price {event.station_id}")

    def closed(self, event: RecordClosed) -> None:
        """Must not wait."""
        if charger := self._of_1_6(event.station_id):
            self._gateway.tasks.spawn(
                self._tell_final(charger, event), f"final cost {event.station_id}"
            )

    def checked(self, event: RecordClosed) -> None:
        """Must not wait."""
        if charger := self._of_1_6(event.station_id):
            self._gateway.tasks.spawn(
                self._tell_checked(charger, event), f"checked cost {event.station_id}"
            )

    def _of_1_6(self, station_id: str) -> Charger | None:
        charger = self._held.get(station_id)
        return charger if charger and charger.version.schemas == V16 else None

    async def _tell_price(self, charger: Charger, event: SessionPriceSet) -> None:
        row = await _session(charger, event.session_id)
        if row and row["token_status"] == ACCEPTED:
            texts = await self._gateway.tariffs.for_session(charger.station, event)
            await charger.answered()
            await _tell_price(charger, row["id_token"], texts)

    async def _tell_final(self, charger: Charger, event: RecordClosed) -> None:
        row = await self._over(charger, event)
        if row is None:
            return
        language = await self._gateway.tariffs.language(charger.station)
        await charger.answered()
        data = costmsg.final_cost(row["id"], event, language)
        await _transfer(charger, "FinalCost", data)

    async def _tell_checked(self, charger: Charger, event: RecordClosed) -> None:
        """In the words of a price, for the extension has no FinalCost without a sum."""
        row = await self._over(charger, event)
        texts = await self._gateway.tariffs.that_it_is_checked(charger.station)
        if row is None or not texts:
            return
        await charger.answered()
        charger.price_told = None  # whoever charges next is to read the price again
        await _transfer(charger, "SetUserPrice", costmsg.user_price(row["id_token"], texts))

    async def _over(self, charger: Charger, event: RecordClosed) -> asyncpg.Record | None:
        return await self._gateway.pool.fetchrow(
            OVER, event.session_id, charger.station_id, now() - SHOWN_FOR
        )

    async def default_prices(self) -> None:
        while True:
            await self.tell_default_prices()
            await asyncio.sleep(DEFAULT_EVERY_S)

    async def tell_default_prices(self) -> None:
        """The operator's own price, to the stations of this replica that do not have it."""
        of_1_6 = {
            charger.station_id: charger
            for charger in self._held.all()
            if charger.version.schemas == V16
        }
        if not of_1_6:
            return
        showing = await self._gateway.pool.fetch(SHOWING, list(of_1_6))
        operators = list({row["operator_id"] for row in showing})
        found = await self._gateway.pool.fetch(OWN, operators, now())
        own = {row["operator_id"]: prices_of(row) for row in found}
        for row in showing:
            if prices := own.get(row["operator_id"]):
                await self._tell_default(of_1_6[row["station_id"]], prices, row["value"])

    async def _tell_default(self, charger: Charger, prices: Prices, has: str | None) -> None:
        texts = await self._gateway.tariffs.own(charger.station, prices)
        value = costmsg.default_price(prices.to_told(), texts) if texts else None
        if value is None or value in (has, self._sent.get(charger.station_id)):
            return
        remember(self._sent, charger.station_id, value, REMEMBERED_MAX)
        await ours.queue(
            charger, "set_variables",
            {"variables": [{"variable": costmsg.DEFAULT_PRICE, "value": value}]},
            self._gateway.settings.command_deadline_s,
        )  # fmt: skip
