"""What charging costs, told to stations that show it (OCPP 2.x, I01 and I06).

Billing tells the operator's own tariffs by event, and of each session by what it is charged
(session_prices.py); so nobody is asked while a driver waits. Before a session the operator's price
is told only if there is no other that billing could apply. In a session it is that session's own,
which billing tells some moments after its start: it corrects whatever the driver read before.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
from nats.aio.client import Client

from common.authorize import AuthorizeAnswer, Holder
from common.clock import now
from common.database import STATEMENT_FAILED
from common.events import PriceLine, SessionPriceSet
from common.price_words import DEFAULT as DEFAULT_LANGUAGE
from csms_gateway import session_prices
from csms_gateway.admitted import Admitted
from csms_gateway.clocks import TOLERANCE
from csms_gateway.remembering import remember
from csms_gateway.tariff_texts import (
    CHECKED,
    Display,
    Prices,
    Texts,
    display,
    messages,
    texts_of,
    texts_of_session,
)
from csms_gateway.transaction_fold import ACCEPTED, STOPS, Known

log = logging.getLogger(__name__)

REMEMBERED_MAX: Final = 50_000  # sessions, and stations; some 50 MB
# A text that is not there in time is left out; the answer is what the driver waits for.
LATEST_S: Final = 0.5
# Before it is looked up again, among thousands of variables, what a station can show. What it
# tells counts at once, what staff say of it after that time.
DISPLAY_S: Final = 60.0
# Our copy of a tariff may be a moment behind billing, so what was told is checked again.
CHECK_S: Final = 60.0
# Between a card at the station and the start of its session: most wait a minute or two for the
# cable. Whoever takes longer learns the price from the answer to the start.
SOON: Final = timedelta(minutes=5)

DISPLAY: Final = """
select s.shows_cost, (
    select json_object_agg(
        lower(component) || '.' || lower(variable) || '.' || lower(variable_instance), value
    )
    from variable v
    where v.station_id = s.station_id and v.attribute = 'Actual' and v.evse_id = 0
    and (
        lower(v.component) in ('tariffcostctrlr', 'displaymessagectrlr', 'ocppcommctrlr')
        or v.component = '' and lower(v.variable) in ('language', 'custommultilanguagemessages')
    )
) as variables
from station s where s.station_id = $1
"""
VALID: Final = """
select * from tariff where operator_id = $1 and valid_from <= $2 order by valid_from desc limit 1
"""
# A card may be shown to begin a session, to join one that began with the cable, or to end one.
COULD_BE: Final = """
select distinct t.*
from (
    values ($2::timestamptz), ($3::timestamptz)
    union
    select started_at from transaction
    where station_id = $4 and ended_at is null and id_token_key in ('', $5)
    and started_at > $2 - interval '2 days'
) as began(at)
left join lateral (
    select * from tariff where operator_id = $1 and valid_from <= began.at
    order by valid_from desc limit 1
) t on true
"""


OTHERS: Final = """
select exists (
    select from strategy_assignment
    where operator_id = $1 and not removed
    and (holder_kind = 'everybody' or (holder_kind, holder_id) in (
        select 'user', $2::uuid union all select 'user_group', unnest($3::uuid[])
    ))
)
"""


@dataclass(slots=True)
class _Told:
    """What the driver of a session was told last."""

    session_at: datetime  # as billing learnt it; a late event may mend ours
    texts: list[dict[str, Any]]
    seq_no: int
    again_at_s: float  # time.monotonic


class TariffsTold:
    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self.check_s = CHECK_S
        self._displays: OrderedDict[str, tuple[float, Display | None]] = OrderedDict()
        self._sessions: OrderedDict[UUID, _Told] = OrderedDict()
        self.prices = session_prices.Heard(pool)
        # Called with each new price of a session; must not wait.
        self.on_price: Callable[[SessionPriceSet], None] | None = None

    async def listen(self, client: Client) -> None:
        self.prices.on_price = self._hear
        await self.prices.listen(client)

    def _hear(self, price: SessionPriceSet) -> None:
        if told := self._sessions.get(price.session_id):
            told.again_at_s = 0.0  # at the next event
        if self.on_price:
            self.on_price(price)

    async def to_driver(
        self, station: Admitted, id_token: str, decision: AuthorizeAnswer
    ) -> dict[str, Any]:
        """Members of IdTokenInfoType, for a card of ours that may begin a session here."""
        found = await self.for_card(station, id_token, decision)
        return {"personalMessage": found[0]} if found else {}

    async def for_card(
        self, station: Admitted, id_token: str, decision: AuthorizeAnswer
    ) -> list[dict[str, Any]]:
        if decision.status != ACCEPTED or decision.card_id is None or decision.master_pass:
            return []
        return await self._in_time(station, partial(self._before, station, id_token, decision))

    async def for_session(self, station: Admitted, price: SessionPriceSet) -> list[dict[str, Any]]:
        return await self._shown(station, texts_of_session(price))

    async def own(self, station: Admitted, prices: Prices) -> list[dict[str, Any]]:
        return await self._shown(station, texts_of(prices))

    async def that_it_is_checked(self, station: Admitted) -> list[dict[str, Any]]:
        return await self._shown(station, CHECKED)

    async def _shown(self, station: Admitted, texts: Texts) -> list[dict[str, Any]]:
        shown = await self._display(station)
        return _messages(texts, shown) if shown else []

    async def language(self, station: Admitted) -> str:
        shown = await self._display(station)
        return shown.language if shown else DEFAULT_LANGUAGE

    async def _in_time(
        self, station: Admitted, texts: Callable[[Display], Awaitable[list[dict[str, Any]]]]
    ) -> list[dict[str, Any]]:
        """The texts for the station's display, if it has one and they are there in time."""
        until_s, shown = self._displays.get(station.station_id, (0.0, None))
        if shown is None and until_s > time.monotonic():
            return []  # as of most stations: known without a look that needs a time limit
        try:
            async with asyncio.timeout(LATEST_S):
                shown = await self._display(station)
                return await texts(shown) if shown else []
        except (TimeoutError, *STATEMENT_FAILED) as error:
            log.warning("%s is not told a tariff: %r", station.station_id, error)
            return []

    async def _before(
        self, station: Admitted, id_token: str, decision: AuthorizeAnswer, shown: Display
    ) -> list[dict[str, Any]]:
        if not await self._own_only(station, decision.holder, decision.user_id):
            return []
        prices = await self._only_one(station, id_token)
        return _messages(texts_of(prices), shown) if prices else []

    async def _own_only(
        self, station: Admitted, holder: Holder | None, user_id: UUID | None
    ) -> bool:
        """Whether billing can price a card by the operator's own tariff alone."""
        if holder and (holder.partner_id or holder.company_id or holder.accounting_strategy_id):
            return False
        groups = list(holder.user_group_ids) if holder else []
        return not await self._pool.fetchval(OTHERS, station.operator_id, user_id, groups)

    async def _only_one(self, station: Admitted, id_token: str) -> Prices | None:
        at = now()
        rows = await self._pool.fetch(
            COULD_BE, station.operator_id, at - TOLERANCE, at + SOON, station.station_id,
            id_token.upper(),
        )  # fmt: skip
        return prices_of(rows[0]) if len(rows) == 1 and rows[0]["tariff_id"] else None

    async def in_session(
        self, station: Admitted, schemas: str, known: Known, payload: dict[str, Any]
    ) -> dict[str, Any]:
        """Members of the answer to a TransactionEvent: once, and when it is another tariff."""
        token = known.token
        if token is None or token.status != ACCEPTED or token.card_id is None or known.ended_at:
            return {}
        if payload.get("offline") or payload["triggerReason"] in STOPS:
            return {}  # nobody stands there, or nobody wants to know any more
        found = await self._in_time(station, partial(self._news, station, known, payload["seqNo"]))
        return _members(found, schemas)

    async def checked(self, station: Admitted, schemas: str) -> dict[str, Any]:
        """The same, instead of the final cost: somebody must decide about it first."""

        async def texts(shown: Display) -> list[dict[str, Any]]:
            return messages(CHECKED, shown)

        return _members(await self._in_time(station, texts), schemas)

    async def _news(
        self, station: Admitted, known: Known, seq_no: int, shown: Display
    ) -> list[dict[str, Any]]:
        """The session's price if its driver does not know it yet, or the answer was lost."""
        told = self._sessions.get(known.session_id)
        at_s = time.monotonic()
        if told and told.seq_no == seq_no:
            return told.texts
        if told and told.again_at_s > at_s:
            return []
        session_at = told.session_at if told else known.started_at
        texts = await self._of(station, known, session_at, shown)
        if told and (told.texts == texts or not texts):
            told.again_at_s = at_s + self.check_s
            return []
        if texts:
            told = _Told(session_at, texts, seq_no, at_s + self.check_s)
            remember(self._sessions, known.session_id, told, REMEMBERED_MAX)
        return texts

    async def _of(
        self, station: Admitted, known: Known, session_at: datetime, shown: Display
    ) -> list[dict[str, Any]]:
        price = await self.prices.of(known.session_id)
        if price:
            return messages(texts_of_session(price), shown)
        assert known.token is not None
        if not await self._own_only(station, known.token.holder, known.token.user_id):
            return []
        row = await self._pool.fetchrow(VALID, station.operator_id, session_at)
        return messages(texts_of(prices_of(row)), shown) if row else []

    def forget_display(self, station_id: str) -> None:
        """The station may have told something new of itself."""
        self._displays.pop(station_id, None)

    async def _display(self, station: Admitted) -> Display | None:
        at_s = time.monotonic()
        until_s, shown = self._displays.get(station.station_id, (at_s, None))
        if until_s <= at_s:
            row = await self._pool.fetchrow(DISPLAY, station.station_id)
            if row:
                shown = display(row["shows_cost"], orjson.loads(row["variables"] or "{}"))
            looked_up = (at_s + DISPLAY_S, shown)
            remember(self._displays, station.station_id, looked_up, REMEMBERED_MAX)
        return shown


def _members(found: list[dict[str, Any]], schemas: str) -> dict[str, Any]:
    """Of the answer to a TransactionEvent."""
    if not found:
        return {}
    told: dict[str, Any] = {"updatedPersonalMessage": found[0]}
    if schemas == "v21" and found[1:]:
        told["updatedPersonalMessageExtra"] = found[1:]
    return told


def _messages(texts: Texts, shown: Display) -> list[dict[str, Any]]:
    found = messages(texts, shown)
    return found if shown.several else found[:1]


def prices_of(row: asyncpg.Record) -> Prices:
    told = {field.name: row[field.name] for field in fields(Prices)}
    definition = told["definition"]
    return Prices(
        **told
        | {
            "definition": None if definition is None else orjson.loads(definition),
            "lines": tuple(map(PriceLine.model_validate, orjson.loads(told["lines"]))),
        }
    )
